"""An annotated film is the film, but for the caption."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from annotated_films import RATE, film, first_frame, soft_frames, times_of

from marey.annotation import annotate
from marey.video import VideoReader

ANSWERS = [("golf", 0.83), ("catch", 0.1), ("jump", 0.05)]
LOSS = 2.5
"""What encoding anew may change on average, of 255."""

TURNS = {
    "quarter left": [0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30],
    "quarter right": [0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30],
    "half": [-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30],
    "mirrored": [-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30],
    "mirrored quarter": [0, 65536, 0, 65536, 0, 0, 0, 0, 1 << 30],
}


def golf(seconds: float) -> list[tuple[str, float]]:
    return ANSWERS


def silent(seconds: float) -> list[tuple[str, float]]:
    return []


def frames_of(path: Path) -> np.ndarray:
    with VideoReader(path) as video:
        return video.frames_at(range(len(video))).astype(int)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    frames = soft_frames()
    squares = [t * t for t in range(len(frames))]
    odd = np.ascontiguousarray(frames[:, :95, :159])
    return {
        "mp4 with b-frames": film(folder / "b.mp4", frames, b_frames=2),
        "mkv": film(folder / "a.mkv", frames),
        "webm": film(folder / "vp8.webm", frames, codec="libvpx"),
        "avi": film(folder / "a.avi", frames, codec="mpeg4"),
        "avi with b-frames": film(folder / "b.avi", frames, codec="mpeg4", b_frames=1),
        "transport stream": film(folder / "b.ts", frames, b_frames=2),
        "stream without stamps": film(folder / "a.h264", frames),
        "variable rate": film(folder / "variable.mp4", frames, stamps=squares),
        "one frame": film(folder / "one.mp4", frames[:1]),
        "portrait": film(folder / "portrait.mp4", soft_frames(10, 160, 96)),
        "grey": film(folder / "grey.mp4", frames, pix_fmt="gray"),
        "ten bits": film(folder / "ten.mkv", frames, pix_fmt="yuv420p10le"),
        "odd sides": film(folder / "odd.mp4", odd, pix_fmt="yuv444p"),
        "full range": film(folder / "full.mp4", frames, colours=(1, 2)),
        "rgb": film(folder / "rgb.mkv", frames, codec="ffv1", pix_fmt="bgr0"),
        "full colour": film(folder / "full-colour.mp4", frames, pix_fmt="yuv444p"),
    }


KINDS = [
    *("mp4 with b-frames", "mkv", "webm", "avi", "avi with b-frames", "transport stream"),
    *("stream without stamps", "variable rate", "one frame", "portrait", "grey", "ten bits"),
    *("odd sides", "full range", "rgb", "full colour"),
]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_stamps_and_pictures_are_kept(
    kind: str, suffix: str, films: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / f"out{suffix}"
    asked: list[float] = []

    def says(seconds: float) -> list[tuple[str, float]]:
        asked.append(seconds)
        return ANSWERS

    verdict = annotate(films[kind], out, says)
    before, after = frames_of(films[kind]), frames_of(out)
    assert (verdict.status, verdict.reason, verdict.frames) == ("ok", "", len(before))
    assert after.shape == before.shape
    top = before.shape[1] * 45 // 100
    assert np.abs(after - before)[:, :top].mean() < LOSS
    assert np.abs(after - before)[:, top:].max() > 60
    times = times_of(out)
    expected = np.arange(len(before)) / RATE
    if kind == "variable rate":
        expected = expected**2 * RATE
    assert times == pytest.approx(expected, abs=0.0006)
    assert asked == pytest.approx(expected, abs=0.0006)
    with av.open(str(out)) as container:
        assert container.streams.video[0].codec.name == "h264"
        if kind not in ("variable rate", "one frame"):
            assert float(container.streams.video[0].average_rate) == pytest.approx(RATE)
            assert container.duration / av.time_base == pytest.approx(len(before) / RATE, abs=0.04)


def test_a_film_whose_frames_change_in_size_keeps_the_size_of_the_first(tmp_path: Path) -> None:
    first = film(tmp_path / "a.h264", soft_frames(6)).read_bytes()
    second = film(tmp_path / "b.h264", soft_frames(5, 64, 64)).read_bytes()
    joined = tmp_path / "joined.h264"
    joined.write_bytes(first + second)
    out = tmp_path / "out.mp4"
    assert annotate(joined, out, golf).frames == 11
    before, after = frames_of(joined), frames_of(out)
    assert after.shape == before.shape == (11, 96, 160, 3)
    assert np.abs(after - before)[:, :40].mean() < 3


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_film_is_shown_as_before_with_the_caption_upright(
    turn: str, suffix: str, tmp_path: Path
) -> None:
    frames = soft_frames(4)
    turned = film(tmp_path / "turned.mp4", frames, matrix=TURNS[turn])
    out = tmp_path / f"out{suffix}"
    annotate(turned, out, golf)
    before, after = frames_of(turned), frames_of(out)
    assert after.shape == before.shape
    top = before.shape[1] * 45 // 100
    assert np.abs(after - before)[:, :top].mean() < LOSS
    # The same pictures, stored upright, get the same caption.
    upright = film(tmp_path / "upright.mp4", before.astype(np.uint8))
    annotate(upright, tmp_path / "plain.mp4", golf)
    assert np.abs(after - frames_of(tmp_path / "plain.mp4")).mean() < 2.5
    flipped = after[:, ::-1], after[:, :, ::-1], after[:, ::-1, ::-1]
    plain = frames_of(tmp_path / "plain.mp4")[:, top:]
    assert all(np.abs(other[:, top:] - plain).mean() > 8 for other in flipped)


@pytest.mark.parametrize("turn", TURNS)
def test_the_word_on_how_to_turn_a_film_stays_the_same(turn: str, tmp_path: Path) -> None:
    turned = film(tmp_path / "turned.mp4", soft_frames(2), matrix=TURNS[turn])
    annotate(turned, tmp_path / "out.mp4", golf)
    sides = [
        bytes(first_frame(path).side_data["DISPLAYMATRIX"])
        for path in (turned, tmp_path / "out.mp4")
    ]
    assert sides[0] == sides[1]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_shape_of_pixels_and_the_kind_of_colours_are_kept(suffix: str, tmp_path: Path) -> None:
    aspect = Fraction(64, 45)
    path = film(tmp_path / "a.mp4", soft_frames(3), colours=(1, 2), aspect=aspect)
    out = tmp_path / f"out{suffix}"
    annotate(path, out, golf)
    frame = first_frame(out)
    assert (frame.colorspace, frame.color_range) == (1, 2)
    with av.open(str(out)) as container:
        assert container.streams.video[0].sample_aspect_ratio == aspect


@pytest.mark.parametrize("colours", [(2, 0), (1, 1), (1, 2), (6, 2)])
def test_the_bar_has_its_colour_whatever_the_colours_of_the_film(
    colours: tuple[int, int], tmp_path: Path
) -> None:
    frames = np.full((2, 240, 320, 3), 128, np.uint8)
    path = film(tmp_path / "a.mp4", frames, colours=colours)
    annotate(path, tmp_path / "out.mp4", lambda seconds: [("golf", 1.0)])
    picture = frames_of(tmp_path / "out.mp4")[0]
    distance = np.abs(picture - np.array([255, 183, 51])).max(axis=-1)
    rows = np.flatnonzero((distance < 16).sum(axis=1) > 100)
    assert len(rows) >= 2


def test_a_caption_is_there_when_it_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", soft_frames(20), b_frames=2)
    out = tmp_path / "out.mp4"
    annotate(path, out, lambda seconds: ANSWERS if 0.2 <= seconds < 0.4 else [])
    change = np.abs(frames_of(out) - frames_of(path))[:, 60:].max(axis=(1, 2, 3))
    assert [bool(c > 60) for c in change] == [5 <= number < 10 for number in range(20)]


def test_a_film_with_nothing_said_is_the_same_all_over(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", soft_frames(6))
    annotate(path, tmp_path / "out.mp4", silent)
    assert np.abs(frames_of(tmp_path / "out.mp4") - frames_of(path)).max() < 40


@pytest.mark.parametrize("matrix", [None, TURNS["quarter left"], TURNS["mirrored"]])
def test_heat_is_drawn_where_the_overlay_says_in_the_upright_frame(
    matrix: list[int] | None, tmp_path: Path
) -> None:
    path = film(tmp_path / "a.mp4", soft_frames(4), matrix=matrix)
    before = frames_of(path)
    seen: list[int] = []

    def overlay(number: int, picture: np.ndarray) -> np.ndarray | None:
        assert np.abs(picture - before[number]).max() == 0
        seen.append(number)
        corner = np.zeros((8, 8), np.float32)
        corner[:4, :4] = 1
        return corner if number else None

    annotate(path, tmp_path / "out.mp4", silent, overlay=overlay)
    assert seen == [0, 1, 2, 3]
    change = np.abs(frames_of(tmp_path / "out.mp4") - before)
    height, width = before.shape[1:3]
    assert change[0].max() < 40
    assert change[1:, : height // 3, : width // 3].mean() > 30
    assert change[1:, -height // 3 :].mean() < 2
    assert change[1:, :, -width // 3 :].mean() < 2


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (1, 1), (17, 3), (400, 16)])
def test_tiny_and_slender_films_are_annotated(size: tuple[int, int], tmp_path: Path) -> None:
    frames = np.full((3, *size, 3), 90, np.uint8)
    path = film(tmp_path / "a.mkv", frames, codec="ffv1", pix_fmt="yuv444p")
    annotate(path, tmp_path / "out.mp4", golf)
    assert frames_of(tmp_path / "out.mp4").shape == frames.shape


def test_names_of_any_kind_are_written(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", soft_frames(2))
    for name in ("a b.MP4", "%d.mkv", "-x.mp4", "new/ünï🎬.mp4", "c:d.mp4"):
        annotate(path, tmp_path / name, golf)
        assert len(frames_of(tmp_path / name)) == 2


def test_the_same_film_gives_the_same_bytes(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", soft_frames(6), sounds=("aac",))
    for name in ("b.mp4", "c.mp4"):
        annotate(path, tmp_path / name, golf)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()
