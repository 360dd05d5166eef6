"""TV-L1 in torch, many pairs at once: for GPUs, and where nothing can be compiled.

The same scheme as the compiled one for processors; see `_tvl1_kernel`.

Axes: N pairs, H rows, W columns, and 2 for x and y.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from marey.flow._tvl1_scheme import (
    EPSILON,
    INNER,
    LAMBDA_THETA,
    MEDIAN,
    OUTER,
    SCALE_STEP,
    TAU_THETA,
    THETA,
    WARPS,
    sizes,
)

_TESTED_EVERY = 5
"""Iterations between looks at whether any pair still moves; each look waits for the GPU."""

# Plain numbers, which torch can compile.
_STEP, _THETA, _TAUT = float(LAMBDA_THETA), float(THETA), float(TAU_THETA)
_LEAST_SQUARE = 1.1920929e-07

Images = Float[Tensor, "N H W"]
Flow = Float[Tensor, "N 2 H W"]
Dual = Float[Tensor, "N 2 2 H W"]


@torch.inference_mode()
def tvl1_pairs(first: Images, second: Images) -> Flow:
    """Return the flow from each image to its partner, in pixels, x then y.

    A pair that has converged stays as it is, so its flow does not depend on the others.

    Args:
        first: Grey levels from 0 to 255.
        second: Likewise.
    """
    pyramid = sizes(first.shape[1], first.shape[2])
    images = [(first.float(), second.float())]
    step = 1 / SCALE_STEP
    for size in pyramid[1:]:
        one, other = images[-1]
        images.append((_resized(one, size, (step, step)), _resized(other, size, (step, step))))
    flow = first.new_zeros((len(first), 2, *pyramid[-1]), dtype=torch.float32)
    for level in range(len(pyramid) - 1, -1, -1):
        if level < len(pyramid) - 1:
            rows, columns = pyramid[level]
            steps = (flow.shape[2] / rows, flow.shape[3] / columns)
            flow = _resized(flow, pyramid[level], steps) / SCALE_STEP
        flow = _refined(*images[level], flow)
    return flow


def _resized(
    images: Float[Tensor, "*N h w"], size: tuple[int, int], steps: tuple[float, float]
) -> Float[Tensor, "*N H W"]:
    """Return images scaled bilinearly, their samples `steps` rows and columns apart."""
    for axis, (count, step) in zip((-2, -1), zip(size, steps, strict=True), strict=True):
        length = images.shape[axis]
        places = (torch.arange(count, device=images.device, dtype=torch.float64) + 0.5) * step - 0.5
        places = places.clamp(0, length - 1)
        before = places.long().clamp(max=max(length - 2, 0))
        behind = (before + 1).clamp(max=length - 1)
        share = (places - before).float()
        if axis == -2:
            share = share[:, None]
        low = images.index_select(axis, before)
        images = low + share * (images.index_select(axis, behind) - low)
    return images


def _refined(first: Images, second: Images, flow: Flow) -> Flow:
    """Return better flow at one scale."""
    height, width = first.shape[1:]
    enough = EPSILON * EPSILON * height * width
    dual = flow.new_zeros((len(flow), 2, 2, height, width))
    seen = _padded(torch.stack([second, *_derivatives(second)], dim=1))
    for _ in range(WARPS):
        slope, constant = _linearised(first, seen, flow)
        active = torch.ones(len(flow), dtype=torch.bool, device=flow.device)
        for _ in range(OUTER):
            flow = torch.where(_of_pairs(active, flow), _median(flow), flow)
            for inner in range(INNER):
                new, new_dual, change = _iterated(flow, dual, slope, constant)
                dual = torch.where(_of_pairs(active, dual), new_dual, dual)
                flow = torch.where(_of_pairs(active, flow), new, flow)
                active = active & (change > enough)
                if inner % _TESTED_EVERY == _TESTED_EVERY - 1 and not active.any():
                    break
            if not active.any():
                break
    return flow


def _of_pairs(active: Bool[Tensor, " N"], like: Tensor) -> Tensor:
    return active.view(-1, *[1] * (like.ndim - 1))


def _derivatives(images: Images) -> tuple[Images, Images]:
    """Return central differences along x and y, half as large at the border."""
    padded = F.pad(images[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    along = 0.5 * (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
    down = 0.5 * (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
    return along, down


def _padded(images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C _ _"]:
    """Return images with zeros behind, up to sides of a power of two.

    Only then do places of pixels stay what they are on their way to shares of the sides and back.
    A millionth of a pixel beyond the border brightness falls already, and a still pair moves.
    """
    down, across = (2 ** math.ceil(math.log2(side)) - side for side in images.shape[2:])
    return F.pad(images, (0, across, 0, down))


def _linearised(
    first: Images, seen: Float[Tensor, "N 3 _ _"], flow: Flow
) -> tuple[Flow, Float[Tensor, "N H W"]]:
    """Return the slope of brightness where the flow leads, and its difference without flow."""
    height, width = first.shape[1:]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    # The edges of the image, half a pixel off the centres, are -1 and 1.
    x = (2 * (columns + flow[:, 0]) + 1) / seen.shape[3] - 1
    y = (2 * (rows + flow[:, 1]) + 1) / seen.shape[2] - 1
    grid = torch.stack([x, y], dim=-1)
    warped = F.grid_sample(seen, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    slope = warped[:, 1:]
    constant = warped[:, 0] - (slope * flow).sum(dim=1) - first
    return slope, constant


def _iterated(
    flow: Flow, dual: Dual, slope: Flow, constant: Float[Tensor, "N H W"]
) -> tuple[Flow, Dual, Float[Tensor, " N"]]:
    """Return flow and dual fields one step on, and the sum of squared changes of the flow."""
    square = slope.square().sum(dim=1).clamp(min=_LEAST_SQUARE)
    rest = (constant + (slope * flow).sum(dim=1)) / square
    moved = flow - rest.clamp(-_STEP, _STEP)[:, None] * slope
    along, down = dual[:, :, 0], dual[:, :, 1]
    divergence = (
        along - F.pad(along, (1, 0))[..., :-1] + down - F.pad(down, (0, 0, 1, 0))[..., :-1, :]
    )
    new = moved + _THETA * divergence
    change = (new - flow).square().sum(dim=(1, 2, 3))
    gradient = torch.stack(
        [
            F.pad(new[..., 1:] - new[..., :-1], (0, 1)),
            F.pad(new[..., 1:, :] - new[..., :-1, :], (0, 0, 0, 1)),
        ],
        dim=2,
    )
    length = gradient.square().sum(dim=2, keepdim=True).sqrt()
    return new, (dual + _TAUT * gradient) / (1 + _TAUT * length), change


def _median(flow: Flow) -> Flow:
    """Return the median around each value."""
    reach = MEDIAN // 2
    padded = F.pad(flow, (reach, reach, reach, reach), mode="replicate")
    windows = padded.unfold(2, MEDIAN, 1).unfold(3, MEDIAN, 1).flatten(-2)
    middle: Flow = windows.median(dim=-1).values
    return middle
