"""Parameter groups and the learning rate of each step."""

import math

import torch
from torch import nn

from marey.models import OFF, Network
from marey.nn import OFFUnit
from marey.settings import Optimisation


def parameter_groups(model: Network, settings: Optimisation) -> list[dict[str, object]]:
    """Return the trainable parameters by learning-rate factor and decay, as the original has it.

    Biases learn twice as fast and do not decay; neither do the scales of normalisations. The
    first convolutions of OFF units learn faster where they see motion.
    """
    faster: set[int] = set()
    if isinstance(model, OFF) and model.modality != "rgb":
        units = (unit for unit in model.modules() if isinstance(unit, OFFUnit))
        faster = {id(parameter) for unit in units for parameter in unit.parameters()}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        factor = settings.flow_reduction if id(parameter) in faster else 1.0
        if name.endswith("bias"):
            factor *= 2
        groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr_factor": factor,
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (factor, decays), parameters in groups.items()
    ]


def build_optimiser(model: Network, settings: Optimisation) -> torch.optim.Optimizer:
    """Return the optimiser of a run."""
    groups = parameter_groups(model, settings)
    # On a GPU one kernel changes many weights. On a CPU that would change the bytes of a run.
    fused = True if model.device.type == "cuda" else None
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, fused=fused)
    return torch.optim.SGD(groups, lr=settings.lr, momentum=0.9, fused=fused)


def learning_rate(step: int, *, steps: int, settings: Optimisation) -> float:
    """Return the learning rate of one of `steps` steps: cosine, with warm-up and restarts.

    With one cycle and no warm-up the rate falls from its highest at step 0 to almost zero at
    the last; each further cycle starts over.
    """
    warm = round(settings.warmup * steps)
    if step < warm:
        return settings.lr * (step + 1) / (warm + 1)
    cosine, step = steps - warm, step - warm
    cycle = step * settings.cycles // cosine
    # Cycles are alike up to a step, so that the last one is whole too.
    start = math.ceil(cycle * cosine / settings.cycles)
    end = math.ceil((cycle + 1) * cosine / settings.cycles)
    return 0.5 * settings.lr * (1 + math.cos(math.pi * (step - start) / (end - start)))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of the rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["lr_factor"]
