"""The stages of a prediction."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from marey.bench import Machine, Stage, Timing, count_macs, measure_stages
from marey.data import segment_centres
from marey.errors import VideoError
from marey.models import (
    OFF,
    Network,
    for_inference,
    off_efficientnet_lite0,
    tsn_efficientnet_lite0,
)

MACHINE = Machine(threads=1, gemm=5e8, flops=1e9, bandwidth=1e6)
SIZE, SHORT_SIDE = 32, 40


def small(network: Network) -> Network:
    network.preprocessing = replace(network.preprocessing, size=SIZE, short_side=SHORT_SIDE)
    return network


def stages_of(video: Path, network: Network, *, snippets: int) -> dict[str, Stage]:
    whole = for_inference(network)
    stages = measure_stages(
        video,
        network=network,
        backbone=whole.tsn if isinstance(whole, OFF) else whole,
        whole=whole,
        predict=lambda path: None,
        snippets=snippets,
        seconds=1e-9,
    )
    return {stage.name: stage for stage in stages}


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
    assert stages["predict"].macs == stages["backbone"].macs


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


def test_only_stages_that_multiply_alone_are_set_beside_a_product_of_matrices() -> None:
    timing = Timing(median=2.0, fastest=2.0, repeats=3)
    multiplies = Stage(name="OFF", frames=1, timing=timing, macs=400_000_000)
    # Two operations each, at half the limit's speed; a product of matrices would take 1.6 s.
    assert multiplies.share(MACHINE) == 0.4
    assert multiplies.share_of_gemm(MACHINE) == 0.8
    assert multiplies.as_json(MACHINE)["share_of_gemm"] == 0.8
    moves = Stage(name="decode", frames=1, timing=timing, moved=1)
    both = Stage(name="predict", frames=1, timing=timing, macs=1, moved=1)
    assert moves.share_of_gemm(MACHINE) is None
    assert both.share_of_gemm(MACHINE) is None


def test_what_need_not_be_multiplied_is_not_counted(film: Callable[[int], Path]) -> None:
    network = small(off_efficientnet_lite0(num_classes=5)).eval()
    stages = stages_of(film(6), network, snippets=3)
    clips = torch.rand(1, 3, 3, SIZE, SIZE)
    needed = count_macs(network, lambda: network(clips))
    assert stages["OFF"].macs == needed
    assert stages["backbone"].macs == count_macs(network.tsn, lambda: network.tsn(clips))
    # What runs treats the last snippet as if a later one came, to be faster.
    faster = for_inference(network)
    assert count_macs(faster, lambda: faster(clips)) > needed
