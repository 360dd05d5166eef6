from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from marey.bench import (
    Machine,
    Stage,
    Timing,
    count_macs,
    measure_machine,
    measure_stages,
    timed,
    timed_in_turn,
)
from marey.data import segment_centres
from marey.errors import VideoError
from marey.models import (
    Network,
    for_inference,
    off_efficientnet_lite0,
    tsn_bn_inception,
    tsn_efficientnet_lite0,
)
from marey.video import write_video

MACHINE = Machine(threads=1, flops=1e9, bandwidth=1e6)
SIZE, SHORT_SIDE = 32, 40


@pytest.fixture
def film(tmp_path: Path) -> Callable[[int], Path]:
    def make(length: int) -> Path:
        frames = np.random.default_rng(0).integers(0, 256, (length, 48, 64, 3), dtype=np.uint8)
        write_video(tmp_path / f"{length}.mp4", frames)
        return tmp_path / f"{length}.mp4"

    return make


def small(network: Network) -> Network:
    network.preprocessing = replace(network.preprocessing, size=SIZE, short_side=SHORT_SIDE)
    return for_inference(network)


def stages_of(video: Path, network: Network, *, snippets: int) -> dict[str, Stage]:
    stages = measure_stages(
        video,
        network=network,
        predict=lambda path: None,
        snippets=snippets,
        seconds=1e-9,
    )
    return {stage.name: stage for stage in stages}


def test_work_is_warmed_up_once_and_timed_at_least_three_times() -> None:
    done: list[int] = []
    timing = timed(lambda: done.append(1), seconds=1e-9)
    assert timing.repeats == 3
    assert len(done) == 4


def test_median_and_fastest_leave_the_warm_up_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    steps = iter([100.0, 3.0, 1.0, 2.0])

    def work() -> None:
        nonlocal now
        now += next(steps)

    monkeypatch.setattr("marey.bench._timing.perf_counter", lambda: now)
    assert timed(work, seconds=5.0) == Timing(median=2.0, fastest=1.0, repeats=3)


def test_works_that_are_compared_take_turns() -> None:
    done: list[str] = []
    timings = timed_in_turn(lambda: done.append("a"), lambda: done.append("b"), repeats=2)
    assert "".join(done) == "ab" + "abab"
    assert [timing.repeats for timing in timings] == [2, 2]


def test_a_limit_is_operations_over_peak_and_bytes_over_bandwidth() -> None:
    assert MACHINE.limit(macs=1_000_000_000) == 2.0
    assert MACHINE.limit(moved=500_000) == 0.5
    assert MACHINE.limit(macs=500_000_000, moved=1_000_000) == 2.0


def test_the_machine_is_judged_by_its_fastest_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    def half_a_second(work: Callable[[], object], *, seconds: float) -> Timing:
        work()
        return Timing(median=2.0, fastest=0.5, repeats=3)

    monkeypatch.setattr("marey.bench._machine.timed", half_a_second)
    machine = measure_machine(seconds=1.0, side=10, copied=1000)
    # A product takes 10 multiplications and 10 additions for each of its 100 values.
    assert machine.flops == 2000 / 0.5
    # Each byte is read and written.
    assert machine.bandwidth == 2000 / 0.5
    assert machine.threads == torch.get_num_threads()


def test_a_machine_that_was_busy_once_is_judged_by_the_other_time() -> None:
    busy = Machine(threads=1, flops=1.0, bandwidth=5.0)
    busy_again = Machine(threads=1, flops=3.0, bandwidth=2.0)
    assert busy.or_better(busy_again) == Machine(threads=1, flops=3.0, bandwidth=5.0)


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
    network = off_efficientnet_lite0(num_classes=5).eval()
    folded = for_inference(network)
    clips = torch.rand(1, 2, 3, 32, 32)
    assert count_macs(folded, lambda: folded(clips)) == count_macs(network, lambda: network(clips))


def test_every_stage_of_an_off_network_is_measured(film: Callable[[int], Path]) -> None:
    video = film(6)
    stages = stages_of(video, small(off_efficientnet_lite0(num_classes=5)), snippets=3)
    assert list(stages) == ["decode", "preprocess", "backbone", "OFF", "predict"]
    assert [stage.frames for stage in stages.values()] == [6, 3, 3, 3, 3]
    assert 0 < stages["backbone"].macs < stages["OFF"].macs == stages["predict"].macs
    # Planes of 6 frames written and of 3 read, one and a half bytes a pixel; 3 pictures written.
    pixels = 48 * 64
    decoding = video.stat().st_size + (6 + 3) * pixels * 3 // 2 + 3 * pixels * 3
    assert stages["decode"].moved == decoding
    # Pictures read, ten crops of floats written.
    pictures, crop = 3 * pixels * 3, 3 * 3 * SIZE * SIZE * 4
    assert stages["preprocess"].moved == pictures + 10 * crop
    assert stages["predict"].moved == decoding + pictures + crop


def test_a_network_without_off_has_no_such_stage(film: Callable[[int], Path]) -> None:
    stages = stages_of(film(4), small(tsn_efficientnet_lite0(num_classes=5)), snippets=2)
    assert list(stages) == ["decode", "preprocess", "backbone", "predict"]
    # The classifier comes on top of the backbone: 1280 features for each of 2 frames.
    assert stages["predict"].macs - stages["backbone"].macs == 2 * 1280 * 5


@pytest.mark.parametrize(("length", "seen"), [(1, 2), (2, 2), (3, 3), (5, 4)])
def test_frames_of_a_short_video_are_predicted_once(
    film: Callable[[int], Path], length: int, seen: int
) -> None:
    stages = stages_of(film(length), small(tsn_efficientnet_lite0(num_classes=5)), snippets=4)
    assert stages["decode"].frames == length
    assert stages["backbone"].frames == 4
    assert stages["predict"].frames == seen
    distinct = len(np.unique(segment_centres(length, segments=4)))
    assert seen == max(distinct, 2)


def test_a_stage_says_how_far_from_its_limit_it_is() -> None:
    timing = Timing(median=0.5, fastest=0.4, repeats=3)
    stage = Stage(name="decode", frames=100, timing=timing, moved=250_000)
    assert stage.limit(MACHINE) == 0.25
    assert stage.share(MACHINE) == 0.5
    document = stage.as_json(MACHINE)
    assert document["ms_a_frame"] == 5.0
    assert document["frames_per_second"] == 200.0
    assert document["limit_frames_per_second"] == 400.0
    assert document["share_of_limit"] == 0.5


def test_a_broken_video_is_refused_before_anything_is_timed(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(VideoError):
        stages_of(tmp_path / "text.mp4", small(tsn_efficientnet_lite0(num_classes=5)), snippets=2)
