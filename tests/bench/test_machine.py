"""What a machine can do, and what a network asks of it."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from marey.bench import Machine, Timing, count_macs, macs_of, measure_machine
from marey.models import for_inference, tsn_bn_inception, tsn_efficientnet_lite0

MACHINE = Machine(threads=1, gemm=5e8, flops=1e9, bandwidth=1e6)


def test_a_limit_is_operations_over_peak_and_bytes_over_bandwidth() -> None:
    assert MACHINE.limit(macs=1_000_000_000) == 2.0
    assert MACHINE.limit(moved=500_000) == 0.5
    assert MACHINE.limit(macs=500_000_000, moved=1_000_000) == 2.0


@pytest.fixture
def _half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    def half_a_second(work: Callable[[], object], *, seconds: float) -> Timing:
        work()
        return Timing(median=2.0, fastest=0.5, repeats=3)

    monkeypatch.setattr("marey.bench._machine.timed", half_a_second)


@pytest.mark.usefixtures("_half_a_second")
def test_the_machine_is_judged_by_its_fastest_repetition() -> None:
    machine = measure_machine(seconds=1.0, side=80, channels=1, copied=1000)
    # A product takes 80 multiplications and 80 additions for each of its 6400 values.
    assert machine.gemm == 160 * 6400 / 0.5
    # Each byte is read and written.
    assert machine.bandwidth == 2000 / 0.5
    assert machine.threads == torch.get_num_threads()


@pytest.mark.usefixtures("_half_a_second")
def test_the_limit_is_that_of_the_fastest_product() -> None:
    # Of 32 maps of 28 x 28, a kernel of 3 x 3 takes nine multiply-adds for each value.
    convolution = 2 * 9 * 32 * 28**2
    machine = measure_machine(seconds=1.0, side=4, channels=1, copied=1)
    assert machine.flops == convolution / 0.5
    assert machine.gemm == 2 * 4**3 / 0.5
    machine = measure_machine(seconds=1.0, side=100, channels=1, copied=1)
    assert machine.flops == machine.gemm == 2 * 100**3 / 0.5


def test_products_together_take_as_long_as_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def note(work: Callable[[], object], *, seconds: float) -> Timing:
        given.append(seconds)
        return Timing(median=1.0, fastest=1.0, repeats=3)

    monkeypatch.setattr("marey.bench._machine.timed", note)
    measure_machine(seconds=2.0, side=4, channels=1, copied=1)
    assert given == [0.5, 0.5, 0.5, 0.5, 2.0]


def test_a_machine_that_was_busy_once_is_judged_by_the_other_time() -> None:
    busy = Machine(threads=1, gemm=4.0, flops=5.0, bandwidth=5.0)
    busy_again = Machine(threads=1, gemm=3.0, flops=6.0, bandwidth=2.0)
    better = Machine(threads=1, gemm=4.0, flops=6.0, bandwidth=5.0)
    assert busy.or_better(busy_again) == better


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv2d(3, 8, 5, stride=2, padding=2), (2, 3, 8, 8), 2 * 8 * 4 * 4 * 3 * 25),
        (nn.Conv2d(6, 6, 3, padding=1, groups=6), (1, 6, 7, 5), 6 * 7 * 5 * 9),
        (nn.Linear(10, 4, bias=False), (7, 10), 7 * 10 * 4),
        (nn.BatchNorm2d(3), (2, 3, 4, 4), 0),
    ],
)
def test_multiply_adds_of_a_layer_are_those_counted_by_hand(
    layer: nn.Module, shape: tuple[int, ...], macs: int
) -> None:
    network = nn.Sequential(layer)
    assert count_macs(network, lambda: network(torch.rand(shape))) == macs


def test_counting_leaves_no_trace_even_if_the_work_fails() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError):
        count_macs(layer, lambda: layer(torch.rand(3)))
    assert count_macs(layer, lambda: None) == 0
    assert not layer._forward_hooks


# Rows of the maps that come out of BN-Inception's convolutions; the first fitting start counts.
BN_INCEPTION_ROWS = {
    "conv1": 112,
    "conv2": 56,
    "inception_3c_3x3.": 14,
    "inception_3c_double_3x3_2": 14,
    "inception_3": 28,
    "inception_4e_3x3.": 7,
    "inception_4e_double_3x3_2": 7,
    "inception_4": 14,
    "inception_5": 7,
}


def test_bn_inception_multiplies_each_weight_once_for_each_place_of_its_map() -> None:
    with torch.device("meta"):
        network = tsn_bn_inception(num_classes=101).eval()
        macs = count_macs(network, lambda: network(torch.empty(1, 2, 3, 224, 224)))
    expected = 101 * 1024
    for name, weight in network.backbone.state_dict().items():
        if weight.ndim == 4:
            rows = next(rows for start, rows in BN_INCEPTION_ROWS.items() if name.startswith(start))
            expected += weight.numel() * rows**2
    assert macs == 2 * expected


def test_folding_normalization_changes_no_count() -> None:
    network = tsn_efficientnet_lite0(num_classes=5).eval()
    folded = for_inference(network)
    clips = torch.rand(1, 2, 3, 32, 32)
    assert count_macs(folded, lambda: folded(clips)) == count_macs(network, lambda: network(clips))


def test_what_a_network_asks_for_is_counted_without_doing_it_or_changing_it() -> None:
    network = tsn_efficientnet_lite0(num_classes=5)
    clips = torch.rand(1, 2, 3, 32, 32)
    asked = macs_of(network, clips)
    assert network.training
    assert network.device.type == "cpu"
    network.eval()
    assert asked == count_macs(network, lambda: network(clips)) > 0
