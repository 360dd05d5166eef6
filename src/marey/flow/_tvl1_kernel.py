"""TV-L1 on the processor: one pair at a time, compiled when it is first used.

The scheme is that of OpenCV's `DualTVL1OpticalFlow` with its default parameters, after Zach,
Pock and Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow" (DAGM 2007). What
takes OpenCV five passes over memory for an iteration is one here: a row of the flow, then the
dual row above it, while both are near.

Axes: H rows, W columns. Flow and dual fields have one row and one column more than the image:
copies of the last ones behind the flow, zeros before the dual, so that no border is a case of
its own.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Float32

from marey.flow._compiled import compiled, compiled_apart
from marey.flow._median import median, pad_flow
from marey.flow._tvl1_scheme import (
    EPSILON,
    INNER,
    LAMBDA_THETA,
    OUTER,
    SCALE_STEP,
    TAU_THETA,
    THETA,
    WARPS,
    sizes,
)

Plane = Float32[np.ndarray, "H W"]

_BORDER = 4  # pixels of zeros around a packed image; a kernel of 4 x 4 reaches no further
_ONE, _ZERO, _HALF = np.float32(1), np.float32(0), np.float32(0.5)
_SHRINK = np.float64(1 / SCALE_STEP)


def tvl1_pair(first: Plane, second: Plane) -> Float32[np.ndarray, "H W 2"]:
    """Return the flow from one grey image to another, in pixels, x then y.

    Args:
        first: Grey levels from 0 to 255.
        second: Likewise, of the same size.
    """
    pyramid = sizes(*first.shape)
    images = [(first, second)]
    for rows, columns in pyramid[1:]:
        above = images[-1]
        images.append(tuple(_resized(image, rows, columns, _SHRINK, _SHRINK) for image in above))
    rows, columns = pyramid[-1]
    flow = np.zeros((2, rows + 1, columns + 1), np.float32)
    for level in range(len(pyramid) - 1, -1, -1):
        one, other = images[level]
        if level < len(pyramid) - 1:
            flow = _grown(flow, *pyramid[level])
        _refine(one, _packed(other), flow[0], flow[1])
    return np.ascontiguousarray(flow[:, :-1, :-1].transpose(1, 2, 0))


def _grown(
    flow: Float32[np.ndarray, "2 h w"], rows: int, columns: int
) -> Float32[np.ndarray, "2 H W"]:
    """Return the flow of a coarse image on the grid of the next finer one."""
    old_rows, old_columns = flow.shape[1] - 1, flow.shape[2] - 1
    grown = np.empty((2, rows + 1, columns + 1), np.float32)
    for part in range(2):
        inside = np.ascontiguousarray(flow[part, :-1, :-1])
        resized = _resized(inside, rows, columns, old_rows / rows, old_columns / columns)
        grown[part, :-1, :-1] = resized * np.float32(1 / SCALE_STEP)
    pad_flow(grown[0])
    pad_flow(grown[1])
    return grown


@compiled
def _resized(image: Plane, rows: int, columns: int, down: float, across: float) -> Plane:
    """Return the image scaled bilinearly, its samples `down` rows and `across` columns apart."""
    height, width = image.shape
    out = np.empty((rows, columns), np.float32)
    left = np.empty(columns, np.int64)
    share = np.empty(columns, np.float32)
    for x in range(columns):
        place = (x + 0.5) * across - 0.5
        place = min(max(place, 0.0), width - 1.0)
        left[x] = min(int(place), max(width - 2, 0))
        share[x] = place - left[x]
    for y in range(rows):
        place = min(max((y + 0.5) * down - 0.5, 0.0), height - 1.0)
        top = min(int(place), max(height - 2, 0))
        low = min(top + 1, height - 1)
        part = np.float32(place - top)
        for x in range(columns):
            x0 = left[x]
            x1 = min(x0 + 1, width - 1)
            upper = image[top, x0] + share[x] * (image[top, x1] - image[top, x0])
            lower = image[low, x0] + share[x] * (image[low, x1] - image[low, x0])
            out[y, x] = upper + part * (lower - upper)
    return out


@compiled
def _packed(image: Plane) -> Float32[np.ndarray, "_ _ 4"]:
    """Return an image beside its derivatives along x and y, zeros around."""
    height, width = image.shape
    out = np.zeros((height + 2 * _BORDER, width + 2 * _BORDER, 4), np.float32)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            before, behind = max(x - 1, 0), min(x + 1, width - 1)
            out[y + _BORDER, x + _BORDER, 0] = image[y, x]
            out[y + _BORDER, x + _BORDER, 1] = _HALF * (image[y, behind] - image[y, before])
            out[y + _BORDER, x + _BORDER, 2] = _HALF * (image[below, x] - image[above, x])
    return out


@compiled
def _cubic(t: Any) -> Any:
    """Return the weights of four neighbours of a place `t` behind the second, as OpenCV's."""
    a = np.float32(-0.75)
    s = _ONE - t
    before = ((a * (t + _ONE) - 5 * a) * (t + _ONE) + 8 * a) * (t + _ONE) - 4 * a
    here = ((a + 2) * t - (a + 3)) * t * t + _ONE
    behind = ((a + 2) * s - (a + 3)) * s * s + _ONE
    return before, here, behind, _ONE - before - here - behind


@compiled
def _warp_row(
    packed: Any, u1: Any, u2: Any, first: Any, y: int, ix: Any, iy: Any, ig: Any, c: Any
) -> None:
    """Fill a row of what an iteration reads: derivatives, 1 / their square, and the constant."""
    height, width = packed.shape[0] - 2 * _BORDER, packed.shape[1] - 2 * _BORDER
    for x in range(width):
        # Beyond the border all is zero, however far.
        across = min(max(x + u1[x], np.float32(-3)), np.float32(width + 1))
        down = min(max(y + u2[x], np.float32(-3)), np.float32(height + 1))
        column, row = math.floor(across), math.floor(down)
        tx, ty = _cubic(across - column), _cubic(down - row)
        left, top = column + _BORDER - 1, row + _BORDER - 1
        value, along, beside = _ZERO, _ZERO, _ZERO
        for j in range(4):
            v0, v1, v2 = _ZERO, _ZERO, _ZERO
            for i in range(4):
                v0 += tx[i] * packed[top + j, left + i, 0]
                v1 += tx[i] * packed[top + j, left + i, 1]
                v2 += tx[i] * packed[top + j, left + i, 2]
            value += ty[j] * v0
            along += ty[j] * v1
            beside += ty[j] * v2
        square = along * along + beside * beside
        ix[x] = along
        iy[x] = beside
        ig[x] = _ONE / max(square, np.float32(1.1920929e-07))
        c[x] = value - along * u1[x] - beside * u2[x] - first[x]


@compiled_apart
def _flow_row(
    u1: Any, u2: Any, p: Any, q: Any, ix: Any, iy: Any, ig: Any, c: Any, width: int
) -> float:
    """Update a row of the flow; return the sum of its squared changes.

    Args:
        u1: The row, along x.
        u2: The row, along y.
        p: Dual rows of u1 (2) and u2 (2).
        q: The same rows above.
        ix: Derivative along x.
        iy: Derivative along y.
        ig: One over the square of both.
        c: What the brightness differs by without flow.
        width: Columns.
    """
    p11, p12, p21, p22 = p
    q12, q22 = q
    change = _ZERO
    for x in range(width):
        a, b = u1[x], u2[x]
        r = (c[x] + ix[x] * a + iy[x] * b) * ig[x]
        r = min(max(r, -LAMBDA_THETA), LAMBDA_THETA)
        new_a = a - r * ix[x] + THETA * (p11[x + 1] - p11[x] + p12[x + 1] - q12[x + 1])
        new_b = b - r * iy[x] + THETA * (p21[x + 1] - p21[x] + p22[x + 1] - q22[x + 1])
        u1[x] = new_a
        u2[x] = new_b
        change += (new_a - a) * (new_a - a) + (new_b - b) * (new_b - b)
    return change  # type: ignore[return-value]


@compiled_apart
def _dual_row(u: Any, below: Any, p1: Any, p2: Any, width: int) -> None:
    """Update a dual row of one part of the flow from that row and the one below."""
    for x in range(width):
        here = u[x]
        along, down = u[x + 1] - here, below[x] - here
        n = _ONE / (_ONE + TAU_THETA * math.sqrt(along * along + down * down))
        p1[x + 1] = (p1[x + 1] + TAU_THETA * along) * n
        p2[x + 1] = (p2[x + 1] + TAU_THETA * down) * n


@compiled
def _iterate(u1: Any, u2: Any, dual: Any, data: Any) -> float:
    """Take one step of flow and dual fields; return the sum of squared changes of the flow."""
    p11, p12, p21, p22 = dual[0], dual[1], dual[2], dual[3]
    ix, iy, ig, c = data[0], data[1], data[2], data[3]
    height, width = ix.shape
    change = 0.0
    for y in range(height):
        p = (p11[y + 1], p12[y + 1], p21[y + 1], p22[y + 1])
        q = (p12[y], p22[y])
        change += _flow_row(u1[y], u2[y], p, q, ix[y], iy[y], ig[y], c[y], width)
        u1[y, width] = u1[y, width - 1]
        u2[y, width] = u2[y, width - 1]
        if y > 0:
            _dual_row(u1[y - 1], u1[y], p11[y], p12[y], width)
            _dual_row(u2[y - 1], u2[y], p21[y], p22[y], width)
    u1[height] = u1[height - 1]
    u2[height] = u2[height - 1]
    _dual_row(u1[height - 1], u1[height], p11[height], p12[height], width)
    _dual_row(u2[height - 1], u2[height], p21[height], p22[height], width)
    return change


@compiled
def _refine(first: Any, packed: Any, u1: Any, u2: Any) -> None:
    """Improve the flow at one scale, in place."""
    height, width = first.shape
    enough = np.float32(EPSILON * EPSILON * height * width)
    dual = np.zeros((4, height + 1, width + 1), np.float32)
    data = np.empty((4, height, width), np.float32)
    scratch = np.empty((5, width + 4), np.float32)
    copy = np.empty((height + 4, width + 4), np.float32)
    for _ in range(WARPS):
        for y in range(height):
            _warp_row(
                packed,
                u1[y],
                u2[y],
                first[y],
                y,
                data[0, y],
                data[1, y],
                data[2, y],
                data[3, y],
            )
        change = np.float32(np.inf)
        for _ in range(OUTER):
            if change <= enough:
                break
            median(u1, copy, scratch)
            median(u2, copy, scratch)
            for _ in range(INNER):
                change = np.float32(_iterate(u1, u2, dual, data))
                if change <= enough:
                    break
