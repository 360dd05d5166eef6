import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from marey.models import build_model
from marey.settings import Optimisation
from marey.training import build_optimiser, learning_rate, parameter_groups, set_learning_rate


def groups_by_name(
    model: torch.nn.Module, settings: Optimisation
) -> dict[str, tuple[float, float]]:
    """Return the learning-rate factor and decay of every parameter that learns."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr_factor"], group["weight_decay"])
        for group in parameter_groups(model, settings)
        for parameter in group["params"]
    }


def test_biases_learn_twice_as_fast_and_neither_they_nor_norms_decay() -> None:
    model = build_model("tsn_efficientnet_lite0", num_classes=3)
    groups = groups_by_name(model, Optimisation(weight_decay=0.1))
    assert groups["head.weight"] == (1, 0.1)
    assert groups["head.bias"] == (2, 0)
    assert groups["backbone.stem.conv.weight"] == (1, 0.1)
    assert groups["backbone.stem.bn.weight"] == (1, 0)
    assert groups["backbone.stem.bn.bias"] == (2, 0)
    assert groups.keys() == dict(model.named_parameters()).keys()


@pytest.mark.parametrize(("modality", "factor"), [("rgb", 1), ("flow", 5), ("rgbdiff", 5)])
def test_first_convolutions_of_off_units_learn_faster_where_they_see_motion(
    modality: str, factor: float
) -> None:
    model = build_model("off_tiny", num_classes=3, modality=modality)
    model.freeze_backbone()
    groups = groups_by_name(model, Optimisation(weight_decay=0.1))
    assert groups["branch.level28.units.0.reduce.weight"] == (factor, 0.1)
    assert groups["branch.level28.units.0.reduce.bias"] == (2 * factor, 0)
    assert groups["branch.level28.stem.weight"] == (1, 0.1)
    assert groups["branch.level7.head.bias"] == (2, 0)


def test_what_is_frozen_is_in_no_group() -> None:
    model = build_model("off_tiny", num_classes=3)
    model.freeze_backbone()
    names = groups_by_name(model, Optimisation())
    assert names
    assert all(name.startswith("branch.") for name in names)


def test_each_group_gets_its_share_of_the_rate() -> None:
    model = build_model("tsn_tiny", num_classes=3)
    optimiser = build_optimiser(model, Optimisation(optimiser="adamw"))
    set_learning_rate(optimiser, 0.25)
    rates = {
        id(parameter): group["lr"]
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert rates[id(model.head.weight)] == 0.25
    assert rates[id(model.head.bias)] == 0.5


def test_a_step_of_either_optimiser_moves_the_weights() -> None:
    for name in ("sgd", "adamw"):
        model = build_model("tsn_tiny", num_classes=3)
        before = model.head.bias.detach().clone()
        optimiser = build_optimiser(model, Optimisation(optimiser=name))
        model.head.bias.sum().backward()
        optimiser.step()
        assert (model.head.bias < before).all()


def curve(steps: int, settings: Optimisation) -> list[float]:
    return [learning_rate(step, steps=steps, settings=settings) for step in range(steps)]


@given(
    steps=st.integers(1, 400),
    cycles=st.integers(1, 12),
    warmup=st.floats(0, 0.5),
    lr=st.floats(1e-6, 10),
)
def test_the_rate_is_positive_at_most_the_highest_and_small_at_the_end(
    steps: int, cycles: int, warmup: float, lr: float
) -> None:
    rates = curve(steps, Optimisation(lr=lr, cycles=cycles, warmup=warmup))
    assert all(0 < rate <= lr for rate in rates)
    # The last cycle has at least so many steps; the last of them is one short of zero.
    last_cycle = (steps - round(warmup * steps)) // cycles
    if last_cycle:
        assert rates[-1] <= lr * (math.pi / (2 * last_cycle)) ** 2


@given(steps=st.integers(1, 400), cycles=st.integers(1, 12))
def test_the_rate_starts_anew_as_often_as_there_are_cycles_and_falls_in_between(
    steps: int, cycles: int
) -> None:
    cycles = min(cycles, steps)
    rates = curve(steps, Optimisation(lr=1.0, cycles=cycles))
    starts = [step for step, rate in enumerate(rates) if rate == 1.0]
    assert len(starts) == cycles
    lengths = [end - start for start, end in zip(starts, [*starts[1:], steps], strict=True)]
    assert max(lengths) - min(lengths) <= 1
    for start, length in zip(starts, lengths, strict=True):
        cycle = rates[start : start + length]
        assert cycle == sorted(cycle, reverse=True)


def test_cycles_are_those_of_the_paper_where_they_divide_the_steps() -> None:
    rates = curve(20, Optimisation(lr=2.0, cycles=5))
    assert rates == pytest.approx(
        [1.0 * (1 + math.cos(math.pi * (step % 4) / 4)) for step in range(20)]
    )


@given(steps=st.integers(4, 400), warmup=st.floats(0.1, 0.5))
def test_the_warm_up_rises_to_the_highest_rate(steps: int, warmup: float) -> None:
    rates = curve(steps, Optimisation(lr=1.0, warmup=warmup))
    warm = round(warmup * steps)
    assert rates[: warm + 1] == sorted(rates[: warm + 1])
    assert rates[warm] == 1.0
    assert warm == 0 or rates[0] == pytest.approx(1 / (warm + 1))


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_one_kernel_changes_many_weights_only_where_bytes_may_differ(optimiser: Any) -> None:
    made = build_optimiser(
        build_model("tsn_tiny", num_classes=3), Optimisation(optimiser=optimiser)
    )
    assert not any(group["fused"] for group in made.param_groups)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_on_a_gpu_one_kernel_changes_many_weights(optimiser: Any) -> None:
    model = build_model("tsn_tiny", num_classes=3).cuda()
    made = build_optimiser(model, Optimisation(optimiser=optimiser))
    assert all(group["fused"] for group in made.param_groups)
    before = model.head.weight.detach().clone()
    model.head.weight.square().sum().backward()
    made.step()
    assert not torch.equal(model.head.weight, before)
