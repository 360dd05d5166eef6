"""Captions can be read on any frame, whatever they say and however large it is."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.annotation._caption import Captions, _font, _shortened
from marey.annotation._planes import Canvas, Planes, canvas_of, planes_of
from marey.annotation._words import one_line

BAR = np.array([255, 183, 51])


def frame_of(grey: int, height: int, width: int, *, full: bool = False) -> av.VideoFrame:
    picture = np.full((height, width, 3), grey, np.uint8)
    odd = height % 2 or width % 2
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    name = f"yuv{'j' if full else ''}{'444' if odd else '420'}p"
    return frame.reformat(format=name)


def captioned(
    frame: av.VideoFrame, answers: list[tuple[str, float]], *, aspect: Fraction = Fraction(1)
) -> np.ndarray:
    sheet = Captions(canvas_of(frame), aspect).sheet(answers)
    assert sheet is not None
    sheet.lay(planes_of(frame))
    return frame.to_ndarray(format="rgb24").astype(int)


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("size", [(240, 320), (720, 1280), (480, 270), (96, 128)])
def test_text_stands_out_from_its_ground_on_light_and_dark(
    grey: int, size: tuple[int, int]
) -> None:
    picture = captioned(frame_of(grey, *size), [("jumping", 0.5), ("golf", 0.2)]).mean(axis=-1)
    plain = frame_of(grey, *size).to_ndarray(format="rgb24").mean(axis=-1)
    rows, columns = np.nonzero(np.abs(picture - plain) > 4)
    plate = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    text, ground = np.quantile(plate, 0.995), np.median(plate)
    assert _contrast(text, ground) > 4.5  # WCAG 2.2, 1.4.3


def _contrast(light: float, dark: float) -> float:
    levels = [(value / 255 + 0.055) / 1.055 for value in (light, dark)]
    return (levels[0] ** 2.4 + 0.05) / (levels[1] ** 2.4 + 0.05)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 0.5, 0.99, 1.0])
def test_the_bar_is_as_long_as_the_label_is_probable(share: float) -> None:
    picture = captioned(frame_of(0, 480, 640), [("golf", share)])
    whole = captioned(frame_of(0, 480, 640), [("golf", 1.0)])
    lengths = [
        (np.abs(image - BAR).max(axis=-1) < 24).sum(axis=1).max() for image in (picture, whole)
    ]
    assert lengths[1] > 300
    assert lengths[0] == pytest.approx(share * lengths[1], abs=3)


@settings(deadline=None, max_examples=40)
@given(
    label=st.text(max_size=300),
    share=st.floats(0, 1),
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    aspect=st.fractions(Fraction(1, 4), Fraction(4), max_denominator=20),
    turn=st.tuples(st.booleans(), st.sampled_from([1, -1]), st.sampled_from([1, -1])),
)
def test_any_label_fits_into_any_frame(
    label: str,
    share: float,
    height: int,
    width: int,
    aspect: Fraction,
    turn: tuple[bool, int, int],
) -> None:
    halved = height % 2 == 0 and width % 2 == 0
    canvas = Canvas(height=height, width=width, turn=turn, halved=halved, full=False, matrix=2)
    sheet = Captions(canvas, aspect).sheet([(label, share), (label[::-1], 0.1), ("c", 0.0)])
    assert sheet is not None
    scale = 2 if halved else 1
    chroma = (height // scale, width // scale)
    planes: Planes = (
        np.full((height, width), 90, np.uint8),
        np.full(chroma, 128, np.uint8),
        np.full(chroma, 128, np.uint8),
    )
    sheet.lay(planes)
    changed = planes[0] != 90
    assert changed.any()
    if min(height, width) > 100:
        place = canvas.stored(np.arange(height * width).reshape(canvas.upright))
        assert not changed[place < height * width / 3].any()


@given(label=st.text(min_size=1, max_size=80), room=st.integers(20, 400))
def test_a_label_is_shortened_only_as_far_as_it_must(label: str, room: int) -> None:
    font = _font("DejaVuSans", 14)
    label = one_line(label)
    short = _shortened(label, font, float(room))
    assert font.getlength(short) <= room or short == "…"
    if short != label:
        assert font.getlength(label) > room
        assert label.startswith(short.removesuffix("…"))


def test_a_long_label_ends_in_dots_and_leaves_room_for_its_probability() -> None:
    long = captioned(frame_of(0, 240, 320), [("w" * 200, 0.83)])
    short = captioned(frame_of(0, 240, 320), [("w", 0.83)])
    columns = np.flatnonzero((np.abs(short - BAR).max(axis=-1) < 24).any(axis=0))
    right = slice(columns[-1], None)
    assert np.array_equal(long[:, right], short[:, right])


def test_a_stretched_frame_gets_a_caption_that_players_set_right() -> None:
    stretched = captioned(frame_of(0, 240, 160), [("golf", 0.5)], aspect=Fraction(2))
    square = captioned(frame_of(0, 240, 320), [("golf", 0.5)])
    shown = stretched.repeat(2, axis=1)
    assert np.abs(shown - square).mean() < 2
    assert np.abs(captioned(frame_of(0, 240, 160), [("golf", 0.5)]) - stretched).mean() > 2


def test_the_same_words_are_drawn_once() -> None:
    captions = Captions(canvas_of(frame_of(0, 240, 320)), Fraction(1))
    first = captions.sheet([("golf", 0.831)])
    assert captions.sheet([("golf", 0.832)]) is first
    assert captions.sheet([("golf", 0.84)]) is not first
    assert captions.sheet([]) is None


@given(label=st.text())
def test_a_label_in_one_line_holds_nothing_that_is_not_seen(label: str) -> None:
    line = one_line(label)
    assert line.isprintable()
    assert line == line.strip()
    line.encode()
    if label.isprintable() and label == " ".join(label.split()):
        assert line == label
