"""Clips of J-HMDB, whose headers all promise frames that are not there."""

from pathlib import Path

import numpy as np
import pytest

from marey.video import VideoReader

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "jhmdb" / "videos"


@pytest.fixture(scope="module")
def clips():
    found = sorted(CLIPS.glob("*/*.avi"))[::93]
    if not found:
        pytest.skip(f"the J-HMDB clips are not at {CLIPS}")
    return found


def test_length_is_what_decodes_not_what_the_header_says(clips, sequential):
    assert len(clips) == 10
    for clip in clips:
        truth = sequential(clip)
        with VideoReader(clip) as video:
            assert len(video) == len(truth)
            places = [len(truth) - 1, 0, len(truth) // 2]
            np.testing.assert_array_equal(video.frames_at(places), truth[places])
            verdict = video.verdict()
        assert (verdict.status, verdict.reason) == ("ok", "")
        assert verdict.declared > verdict.frames == len(truth)
