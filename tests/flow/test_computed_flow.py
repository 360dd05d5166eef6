from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import VideoError
from marey.flow import ComputedFlow, Making, flow_estimator, to_bytes
from marey.video import FrameFolder, VideoReader, write_video

FRAMES = 40
MAKING = Making(method="mine", parameters={}, height=24, width=32)


def numbers(frames: np.ndarray) -> np.ndarray:
    """Say of a pair how bright both frames are, as if that was flow."""
    bright = frames.reshape(len(frames), -1).mean(axis=1)
    flow = np.stack([bright[:-1], bright[1:]], axis=-1) / 16
    return np.broadcast_to(flow[:, None, None], (len(flow), *frames.shape[1:3], 2)).astype("f4")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of grey frames, each brighter than the one before."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    levels = np.arange(40, 40 + 4 * FRAMES, 4, dtype=np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (FRAMES, 24, 32, 3))
    write_video(path, np.ascontiguousarray(frames), fps=12.5)
    return path


@pytest.fixture(scope="module")
def pairs(film: Path) -> np.ndarray:
    """What is right for each pair of the film."""
    with VideoReader(film) as video:
        return to_bytes(numbers(video.frames_at(range(FRAMES))))


def test_flow_is_of_each_frame_and_the_next(film: Path, pairs: np.ndarray) -> None:
    with ComputedFlow(VideoReader(film), numbers, MAKING) as flow:
        assert len(flow) == FRAMES - 1
        assert flow.path == film
        assert flow.fps == 12.5
        np.testing.assert_array_equal(flow.frames_at(range(FRAMES - 1)), pairs)
    assert len(np.unique(pairs[:, 0, 0, 0])) == FRAMES - 1, "each pair can be told"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, FRAMES - 2), max_size=30))
def test_pairs_in_any_order_are_those_of_all_in_order(
    film: Path, pairs: np.ndarray, asked: list[int]
) -> None:
    with ComputedFlow(VideoReader(film), numbers, MAKING) as flow:
        answer = flow.frames_at(asked)
        assert answer.shape == (len(asked), 24, 32, 2)
        np.testing.assert_array_equal(answer, pairs[asked])
        rising = sorted(set(asked))
        one_by_one = list(flow.in_order(rising))
    assert len(one_by_one) == len(rising)
    for pair, field in zip(rising, one_by_one, strict=True):
        np.testing.assert_array_equal(field, pairs[pair])


class Counted(VideoReader):
    """A video that remembers which frames it gave, and in how many goes."""

    given: list[int]
    goes = 0

    def in_order(self, indices: list[int]) -> Iterator[np.ndarray]:  # type: ignore[override]
        self.goes += 1
        for index, frame in zip(indices, super().in_order(indices), strict=True):
            self.given.append(index)
            yield frame


@pytest.mark.parametrize(
    ("asked", "frames"),
    [
        ([0], [0, 1]),
        ([3, 4, 5], [3, 4, 5, 6]),
        ([0, 2], [0, 1, 2, 3]),
        ([0, 3, 4, 9], [0, 1, 3, 4, 5, 9, 10]),
        (list(range(39)), list(range(40))),
    ],
)
def test_each_frame_is_decoded_once(film: Path, asked: list[int], frames: list[int]) -> None:
    video = Counted(film)
    video.given = []
    with ComputedFlow(video, numbers, MAKING) as flow:
        assert len(list(flow.in_order(asked))) == len(asked)
    assert video.given == frames
    assert video.goes == 1


def test_a_long_film_is_not_held_in_memory(film: Path) -> None:
    seen = []

    def estimator(frames: np.ndarray) -> np.ndarray:
        seen.append(len(frames))
        return numbers(frames)

    with ComputedFlow(VideoReader(film), estimator, MAKING) as flow:
        list(flow.in_order(range(39)))
    assert seen == [17, 17, 8]


@pytest.mark.parametrize("pair", [-1, 39])
def test_a_pair_outside_is_refused(film: Path, pair: int) -> None:
    with ComputedFlow(VideoReader(film), numbers, MAKING) as flow:
        with pytest.raises(IndexError) as caught:
            flow.frames_at([0, pair])
        assert str(caught.value) == f"{film}: no pair {pair} in a video of 39 pairs"
        assert flow.frames_at([]).shape == (0, 24, 32, 2)


def test_a_single_frame_has_no_flow_and_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "one.avi"
    write_video(path, np.zeros((1, 24, 32, 3), np.uint8))
    video = VideoReader(path)
    with pytest.raises(VideoError, match=r"one\.avi has a single frame; flow needs two"):
        ComputedFlow(video, numbers, MAKING)
    with pytest.raises(VideoError, match="was closed"):
        len(video)


def test_the_video_is_closed_with_its_flow(film: Path) -> None:
    video = VideoReader(film)
    with ComputedFlow(video, numbers, MAKING):
        pass
    with pytest.raises(VideoError, match="was closed"):
        len(video)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 24), (12, 16), (24, 32)])
def test_frames_of_any_shape_are_brought_to_one_size(
    tmp_path: Path, height: int, width: int
) -> None:
    path = tmp_path / "film.avi"
    frames = np.zeros((3, height, width, 3), np.uint8)
    frames[:, : height // 2] = 255
    write_video(path, frames)
    seen = []

    def estimator(frames: np.ndarray) -> np.ndarray:
        seen.append(frames)
        return numbers(frames)

    with ComputedFlow(VideoReader(path), estimator, MAKING) as flow:
        assert flow.frames_at([0, 1]).shape == (2, 24, 32, 2)
    (scaled,) = seen
    assert scaled.shape == (3, 24, 32, 3)
    assert scaled.dtype == np.uint8
    assert scaled.flags.c_contiguous
    assert scaled[:, :10].min() > 220 > 30 > scaled[:, 14:].max()


def drifting(right: int, down: int) -> np.ndarray:
    """Return a film of blurred blocks that move by so many pixels a frame."""
    blocks = np.random.default_rng(7).integers(0, 256, (16, 20, 3)).repeat(8, 0).repeat(8, 1)
    soft = np.stack([np.roll(blocks, (y, x), (0, 1)) for y in range(8) for x in range(8)]).mean(0)
    frames = [np.roll(soft, (down * t, right * t), (0, 1))[16:112, 16:144] for t in range(3)]
    return np.stack(frames).astype(np.uint8)


@pytest.mark.parametrize("method", ["tvl1", "dis"])
@pytest.mark.parametrize(("right", "down"), [(3, 0), (-3, 0), (0, 2), (2, -3)])
def test_what_moves_right_and_down_has_bytes_above_128(
    tmp_path: Path, method: str, right: int, down: int
) -> None:
    if method == "dis":
        pytest.importorskip("cv2", reason="OpenCV is not installed")
    write_video(tmp_path / "film.avi", drifting(right, down))
    making = Making(method=method, parameters={}, height=96, width=128)
    with ComputedFlow(VideoReader(tmp_path / "film.avi"), flow_estimator(method), making) as flow:
        x, y = flow.frames_at([1])[0, 12:-12, 12:-12].reshape(-1, 2).T.astype(int)
    # A pixel is 255 / 40 levels.
    assert abs(np.median(x) - (128 + 6.375 * right)) <= 2
    assert abs(np.median(y) - (128 + 6.375 * down)) <= 2
    for part, step in ((x, right), (y, down)):
        if step:
            assert (np.sign(part - 128) == np.sign(step)).mean() > 0.9


def test_a_frame_twice_as_large_moves_as_far_in_the_frame_that_flow_is_of(tmp_path: Path) -> None:
    large = drifting(4, 0).repeat(2, 1).repeat(2, 2)
    write_video(tmp_path / "film.avi", large)
    making = Making(method="tvl1", parameters={}, height=96, width=128)
    with ComputedFlow(VideoReader(tmp_path / "film.avi"), flow_estimator("tvl1"), making) as flow:
        x = flow.frames_at([0])[0, 12:-12, 12:-12, 0].astype(int)
    assert abs(np.median(x) - (128 + 6.375 * 4)) <= 2


def test_flow_of_a_folder_of_images_is_that_of_its_frames(tmp_path: Path, film: Path) -> None:
    from PIL import Image

    with VideoReader(film) as video:
        frames = video.frames_at(range(4))
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(tmp_path / f"img_{number:05d}.png")
    folder = FrameFolder(tmp_path, pattern="img_%05d.png")
    with ComputedFlow(folder, numbers, MAKING) as flow:
        np.testing.assert_array_equal(flow.frames_at([2, 0]), to_bytes(numbers(frames))[[2, 0]])
