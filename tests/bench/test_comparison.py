"""The originals' way and ours, set side by side."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from telling_networks import telling_apart

from marey.bench import Comparison, Gain
from marey.bench import _original as original_way
from marey.errors import MareyError, UsageError, VideoError
from marey.models import (
    Network,
    for_inference,
    off_efficientnet_lite0,
    tsn_bn_inception,
    tsn_efficientnet_lite0,
)

STAGES = ["preprocess", "network", "whole"]


def telling(network: Network) -> Network:
    torch.manual_seed(2)
    telling_apart(network)
    network.preprocessing = replace(network.preprocessing, size=32, short_side=40)
    return network


def comparison(video: Path, network: Network, folder: Path, *, snippets: int = 3) -> Comparison:
    return Comparison(
        video,
        network=network,
        runner=for_inference(network),
        snippets=snippets,
        folder=folder,
    )


def test_every_stage_is_compared_for_one_crop_ten_and_a_stream(
    film: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def note(network: Network, snippets: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(len(snippets))
        return heads(network, snippets)

    heads = original_way.original_heads
    monkeypatch.setattr(original_way, "original_heads", note)
    compared = comparison(film(5), telling(off_efficientnet_lite0(num_classes=4)), tmp_path)
    assert compared.difference < 1e-4
    announced: list[str] = []
    gains = list(compared.gains(seconds=1e-9, announce=announced.append))
    assert announced == ["3 x 1", "3 x 10", "streaming"]
    rows = [(gain.look, gain.stage) for gain in gains]
    stream = ["read+preprocess", "network", "whole"]
    assert rows == [
        *(("3 x 1", stage) for stage in ["read 3 frames", *STAGES]),
        *(("3 x 10", stage) for stage in ["read 3 frames", *STAGES]),
        *(("streaming", stage) for stage in stream),
        *(("streaming, newest only", stage) for stage in stream),
    ]
    assert {len(gain.ours) for gain in gains} == {len(gain.original) for gain in gains} == {3}
    # Each is gone four times: all frames of one view at once; in the end those of a pair.
    assert seen == [3] * 4 * 1 + [3] * 4 * 10 + [3, 2] * 4


def test_the_whole_is_the_sum_of_its_stages_and_without_motion_the_newest_frame_would_do(
    film: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    heads = original_way.original_heads
    monkeypatch.setattr(
        original_way,
        "original_heads",
        lambda network, snippets: seen.append(len(snippets)) or heads(network, snippets),
    )
    compared = comparison(film(5), telling(tsn_efficientnet_lite0(num_classes=4)), tmp_path)
    gains = list(compared.gains(seconds=1e-9))
    assert seen[-2:] == [3, 1]
    for look in dict.fromkeys(gain.look for gain in gains):
        *stages, whole = [gain for gain in gains if gain.look == look]
        for way in ("original", "ours"):
            turns = zip(*(getattr(stage, way) for stage in stages), strict=True)
            assert list(getattr(whole, way)) == pytest.approx([sum(turn) for turn in turns])


def test_gains_are_ratios_of_neighbouring_turns() -> None:
    gain = Gain(look="25 x 1", stage="network", original=(4.0, 9.0, 3.0), ours=(2.0, 3.0, 3.0))
    assert gain.ratios == [2.0, 3.0, 1.0]
    assert gain.as_json() == {
        "look": "25 x 1",
        "stage": "network",
        "turns": 3,
        "original_ms": 4000.0,
        "ours_ms": 3000.0,
        "ratio": 2.0,
        "lowest_ratio": 1.0,
        "highest_ratio": 3.0,
    }


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_ways_that_answer_otherwise_are_not_compared(
    film: Callable[[int], Path], tmp_path: Path, factor: float
) -> None:
    network = telling(tsn_efficientnet_lite0(num_classes=4))
    wrong = for_inference(network)
    wrong.head.weight.mul_(factor)
    with pytest.raises(MareyError, match=r"differ by .* nothing to compare"):
        Comparison(film(5), network=network, runner=wrong, snippets=3, folder=tmp_path)


def test_what_has_no_original_way_is_refused(film: Callable[[int], Path], tmp_path: Path) -> None:
    network = telling(tsn_efficientnet_lite0(num_classes=4))
    with pytest.raises(UsageError, match="takes a video file"):
        comparison(tmp_path, network, tmp_path)
    with pytest.raises(UsageError, match="look at rgb, got one for flow"):
        comparison(film(3), tsn_bn_inception(num_classes=4, modality="flow"), tmp_path)
    with pytest.raises(UsageError, match="has 2 frames, and 3 are wanted"):
        comparison(film(2), network, tmp_path)
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(VideoError):
        comparison(tmp_path / "text.mp4", network, tmp_path)
