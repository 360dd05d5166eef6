import json
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from marey.data import (
    FlowOnTheFly,
    Key,
    Preprocessing,
    SnippetDataset,
    StoredFlow,
    Videos,
    flow_source,
    mirror,
    normalise,
    read_snippets,
    segment_draws,
)
from marey.errors import UsageError, VideoError
from marey.flow import (
    FlowFolderWriter,
    FlowWriter,
    Making,
    flow_estimator,
    flow_file,
    flow_folder,
    making_of,
    to_bytes,
)
from marey.index import Index

PAIRS = 19  # of the videos of 20 frames
FLOW = Preprocessing(colour="rgb", mean=(128.0,), std=(128.0,), size=32)


def noise(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (PAIRS, 40, 56, 2), np.uint8)


@pytest.fixture
def stored(clips: Index, tmp_path: Path) -> Path:
    """Flow of all clips, by no method at all."""
    making = Making(method="noise", parameters={}, height=40, width=56)
    for number in range(4):
        path = flow_file(tmp_path, f"{number}.avi")
        told = {"pairs": range(PAIRS), "of": PAIRS, "fps": 10.0, "source_bytes": 1}
        with FlowWriter(path, making, **told) as writer:
            writer.write(noise(number))
    return tmp_path


# The videos themselves.


def test_videos_are_read_from_the_index(clips: Index) -> None:
    entry = clips.entries[1]
    with Videos().open(clips, entry) as video:
        assert len(video) == 20
        assert video.path == clips.file(entry)
    assert Videos().made_from(clips, entry) == clips.file(entry)


# Flow that was computed before.


def test_stored_flow_is_found_by_the_path_in_the_index(clips: Index, stored: Path) -> None:
    source = StoredFlow(stored)
    for number, entry in enumerate(clips.entries[:4]):
        with source.open(clips, entry) as flow:
            np.testing.assert_array_equal(flow.frames_at([0, 18]), noise(number)[[0, 18]])
        assert source.made_from(clips, entry) == stored / f"{number}.avi.mkv"


@pytest.mark.parametrize("method", ["", "noise"])
def test_flow_of_the_same_method_or_of_any_is_taken(
    clips: Index, stored: Path, method: str
) -> None:
    with StoredFlow(stored, method).open(clips, clips.entries[0]) as flow:
        assert len(flow) == PAIRS


def test_flow_of_another_method_is_refused_with_what_to_do(clips: Index, stored: Path) -> None:
    source = StoredFlow(stored, "tvl1")
    with pytest.raises(UsageError) as caught:
        source.open(clips, clips.entries[0])
    assert str(caught.value) == (
        f"{stored}/0.avi.mkv is flow by noise, but the network learnt from tvl1; compute that, "
        "or insist with --any-flow"
    )


def test_a_folder_that_says_it_is_of_another_method_is_refused_at_once(tmp_path: Path) -> None:
    """Images do not say it themselves, but what `marey flow` writes beside them does."""
    (tmp_path / "flow.json").write_text(json.dumps({"flow": {"method": "dis"}}))
    StoredFlow(tmp_path)
    StoredFlow(tmp_path, "dis")
    with pytest.raises(UsageError, match="is flow by dis, but the network learnt from tvl1"):
        StoredFlow(tmp_path, "tvl1")


def test_images_do_not_tell_their_method_and_pass(clips: Index, tmp_path: Path) -> None:
    with FlowFolderWriter(flow_folder(tmp_path, "0.avi")) as writer:
        writer.write(noise(0))
    source = StoredFlow(tmp_path, "tvl1")
    with source.open(clips, clips.entries[0]) as flow:
        assert len(flow) == PAIRS
    assert source.made_from(clips, clips.entries[0]) == tmp_path / "0"


def test_a_video_without_flow_is_named(clips: Index, tmp_path: Path) -> None:
    source = StoredFlow(tmp_path)
    for call in (source.open, source.made_from):
        with pytest.raises(VideoError, match=r"2\.avi: .* holds no flow of it"):
            call(clips, clips.entries[2])


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder of flow"):
        StoredFlow(tmp_path / "none")


# Flow on the fly.


@pytest.fixture
def _opencv() -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")


@pytest.mark.usefixtures("_opencv")
def test_flow_on_the_fly_is_what_would_have_been_stored(clips: Index, tmp_path: Path) -> None:
    entry = clips.entries[0]
    source = FlowOnTheFly()
    with source.open(clips, entry) as flow:
        assert len(flow) == PAIRS
        assert flow.path == source.made_from(clips, entry) == clips.file(entry)
        now = flow.frames_at(range(PAIRS))
    assert now.shape == (PAIRS, 256, 340, 2)
    making = making_of("dis")
    told = {"pairs": range(PAIRS), "of": PAIRS, "fps": 10.0, "source_bytes": 1}
    with FlowWriter(flow_file(tmp_path, entry.path), making, **told) as writer:
        with Videos().open(clips, entry) as video:
            frames = torch.from_numpy(video.frames_at(range(PAIRS + 1))).permute(0, 3, 1, 2)
        scaled = torch.nn.functional.interpolate(
            frames, (256, 340), mode="bilinear", antialias=True
        )
        pictures = scaled.permute(0, 2, 3, 1).contiguous().numpy()
        writer.write(to_bytes(flow_estimator("dis")(pictures)))
    with StoredFlow(tmp_path, "dis").open(clips, entry) as flow:
        np.testing.assert_array_equal(flow.frames_at(range(PAIRS)), now)


@pytest.mark.usefixtures("_opencv")
def test_flow_on_the_fly_needs_no_index(clips: Index) -> None:
    with FlowOnTheFly().of(clips.file(clips.entries[1])) as flow:
        assert flow.making == making_of("dis")
        assert len(flow) == PAIRS


def test_sources_reach_other_processes(stored: Path) -> None:
    for source in (Videos(), StoredFlow(stored, "noise"), FlowOnTheFly("tvl1", threads=2)):
        assert pickle.loads(pickle.dumps(source)) == source


# Which of the two.


def test_one_of_the_two_is_taken(tmp_path: Path) -> None:
    assert flow_source(folder=tmp_path, on_the_fly=False) == StoredFlow(tmp_path)
    known = flow_source(folder=tmp_path, on_the_fly=False, learnt_from="tvl1")
    assert known == StoredFlow(tmp_path, "tvl1")
    for learnt_from in ("", "dis"):
        source = flow_source(folder=None, on_the_fly=True, learnt_from=learnt_from)
        assert source == FlowOnTheFly("dis")


def test_both_or_neither_are_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--flow and --on-the-fly exclude each other"):
        flow_source(folder=tmp_path, on_the_fly=True)
    with pytest.raises(UsageError, match=r"say where it is with --flow FOLDER .* --on-the-fly"):
        flow_source(folder=None, on_the_fly=False)


def test_a_network_that_learnt_from_other_flow_is_told_what_to_compute() -> None:
    with pytest.raises(UsageError) as caught:
        flow_source(folder=None, on_the_fly=True, learnt_from="tvl1")
    assert str(caught.value) == (
        "the network learnt from flow by tvl1, and --on-the-fly is by dis; compute tvl1 with "
        "`marey flow`, or insist with --any-flow"
    )


# What a network sees of it.


def test_a_snippet_is_five_pairs_of_x_and_y_around_zero(clips: Index, stored: Path) -> None:
    with StoredFlow(stored).open(clips, clips.entries[0]) as flow:
        snippets = read_snippets(flow, np.array([3]), span=5)
    assert snippets.shape == (1, 10, 40, 56)
    seen = normalise(snippets, FLOW, modality="flow")
    for pair in range(5):
        for part in range(2):
            expected = (noise(0)[3 + pair, ..., part].astype(np.float32) - 128) / 128
            np.testing.assert_array_equal(seen[0, 2 * pair + part], expected)


def test_a_mirrored_snippet_has_the_exact_opposite_along_x(clips: Index, stored: Path) -> None:
    with StoredFlow(stored).open(clips, clips.entries[0]) as flow:
        snippets = normalise(read_snippets(flow, np.array([0, 7]), span=5), FLOW, modality="flow")
    turned = mirror(snippets, modality="flow").flip(-1)
    assert torch.equal(turned[:, 0::2], -snippets[:, 0::2])
    assert torch.equal(turned[:, 1::2], snippets[:, 1::2])
    assert snippets[:, 0::2].abs().max() > 0.9


def dataset(clips: Index, stored: Path) -> SnippetDataset:
    return SnippetDataset(
        clips,
        modality="flow",
        preprocessing=FLOW,
        draw=partial(segment_draws, segments=3),
        seed=0,
        source=StoredFlow(stored),
    )


def test_samples_come_from_where_the_source_says(clips: Index, stored: Path) -> None:
    data = dataset(clips, stored)
    clip = data[Key(0, 1)].clip
    assert isinstance(clip, torch.Tensor)
    assert clip.shape == (3, 10, 32, 32)
    assert data.file_of(1) == stored / "1.avi.mkv"
    assert data.label(1) == 1


def test_a_stretch_of_a_video_is_that_stretch_of_its_flow(clips: Index, stored: Path) -> None:
    """From half a second to one, at ten frames a second: pairs 5 to 9, one snippet."""
    clip = dataset(clips, stored)[Key(0, 4)].clip
    assert isinstance(clip, torch.Tensor)
    assert torch.equal(clip[0], clip[1])
    assert torch.equal(clip[0], clip[2])
