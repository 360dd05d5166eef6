"""Subtitles say what the segments say, to any player."""

import csv
import io
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marey import Segment
from marey.annotation import csv_of, srt_of, vtt_of
from marey.annotation._words import one_line

JOINER = "\N{WORD JOINER}"
NASTY = [
    *(
        "golf",
        "a < b",
        "<i>golf</i>",
        "</i>",
        "<00:01.000>",
        "R&B",
        "&amp;",
        "&lt;b&gt;",
        "a --> b",
    ),
    *(
        "00:00:01,000 --> 00:00:02,000",
        "1",
        "NOTE",
        "WEBVTT",
        "{\\an8}x",
        "\\N",
        "\\h",
        "a\\",
        "{x}",
    ),
    *("a\nb", "\n\n", "a\r\n\r\n2\r\n00:00:05,000 --> 00:00:06,000\r\nb", "\t", "", "日本語", "🎬"),
    *("- a", "=1+1", 'say "hi"', "x" * 300, "\x1b[31mred", "\ufeffa", "\u202eabc"),
]

times = st.floats(0, 400_000, allow_nan=False)
segments = st.builds(
    lambda start, length, label, share: Segment(start, start + length, label, share),
    times,
    st.floats(0, 100),
    st.text(max_size=20) | st.sampled_from(NASTY),
    st.floats(0, 1),
)


@dataclass
class Cue:
    start: int
    end: int
    text: str


def srt_cues(text: str) -> list[Cue]:
    """Read SubRip as its players do: blocks between empty lines."""
    cues = []
    for place, block in enumerate(text.split("\n\n")[:-1], 1):
        number, clock, *lines = block.split("\n")
        assert int(number) == place
        assert len(lines) == 1
        cues.append(Cue(*_clock(clock, ","), lines[0]))
    return cues


def vtt_cues(text: str) -> list[Cue]:
    header, *blocks = text.split("\n\n")[:-1]
    assert header == "WEBVTT"
    cues = []
    for block in blocks:
        clock, *lines = block.split("\n")
        assert len(lines) == 1
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", lines[0])
        cues.append(Cue(*_clock(clock, "."), lines[0]))
    return cues


def _clock(line: str, mark: str) -> tuple[int, int]:
    one = rf"(\d\d+):([0-5]\d):([0-5]\d){re.escape(mark)}(\d\d\d)"
    found = re.fullmatch(f"{one} --> {one}", line)
    assert found, line
    numbers = [int(group) for group in found.groups()]
    start, end = (
        ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest
        for hours, minutes, seconds, rest in (numbers[:4], numbers[4:])
    )
    return start, end


@given(found=st.lists(segments, max_size=12))
def test_there_is_a_cue_for_each_segment_none_empty_and_no_two_at_once(
    found: list[Segment],
) -> None:
    for cues in (srt_cues(srt_of(found)), vtt_cues(vtt_of(found))):
        assert len(cues) == len(found)
        assert all(cue.start < cue.end for cue in cues)
        assert all(a.end <= b.start for a, b in pairwise(cues))


@given(
    ends=st.lists(st.integers(1, 10**7), unique=True, min_size=1, max_size=12).map(sorted),
    labels=st.lists(st.text(), min_size=12, max_size=12),
)
def test_segments_that_follow_one_another_are_shown_to_the_millisecond(
    ends: list[int], labels: list[str]
) -> None:
    starts = [0, *ends[:-1]]
    found = [
        Segment(start / 1000, end / 1000, label, 0.5)
        for start, end, label in zip(starts, ends, labels, strict=False)
    ]
    for cues in (srt_cues(srt_of(found)), vtt_cues(vtt_of(found))):
        assert [(cue.start, cue.end) for cue in cues] == list(zip(starts, ends, strict=True))


def test_hours_and_probabilities_are_written_like_this() -> None:
    found = [Segment(0.0, 1.3335, "golf", 0.834), Segment(3661.25, 360000.0, "a<b", 1.0)]
    assert srt_of(found) == (
        "1\n00:00:00,000 --> 00:00:01,334\ngolf (83%)\n\n"
        f"2\n01:01:01,250 --> 100:00:00,000\na<{JOINER}b (100%)\n\n"
    )
    assert vtt_of(found) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.334\ngolf (83%)\n\n"
        "01:01:01.250 --> 100:00:00.000\na&lt;b (100%)\n\n"
    )
    assert srt_of([]) == ""
    assert vtt_of([]) == "WEBVTT\n\n"


def test_of_segments_that_overlap_the_earlier_gives_way() -> None:
    found = [Segment(1.0, 4.0, "b", 0.5), Segment(0.0, 2.0, "a", 0.5)]
    cues = srt_cues(srt_of(found))
    assert [(cue.start, cue.end, cue.text[0]) for cue in cues] == [
        (0, 1000, "a"),
        (1000, 4000, "b"),
    ]


def read_back(path: Path) -> list[tuple[float, float, str]]:
    """Return the cues of a file of subtitles as FFmpeg understands it, bare of its own escapes."""
    cues = []
    with av.open(str(path)) as container:
        (stream,) = container.streams.subtitles
        for packet in container.demux(stream):
            for subtitle in packet.decode():
                start = packet.pts * packet.time_base
                text = subtitle.ass.decode().split(",", 8)[8]
                text = text.replace(JOINER, "").replace("\\{{}", "{")
                cues.append((float(start), float(packet.duration * packet.time_base), text))
    return cues


@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
@pytest.mark.parametrize("label", NASTY)
def test_ffmpeg_reads_a_label_as_it_is_and_the_cues_around_it(
    label: str, suffix: str, tmp_path: Path
) -> None:
    found = [Segment(0.5, 1.0, "before", 0.5), Segment(1.0, 2.5, label, 0.83)]
    found.append(Segment(3600.0, 3601.0, "after", 1.0))
    path = tmp_path / f"a{suffix}"
    text = srt_of(found) if suffix == ".srt" else vtt_of(found)
    path.write_text(text, encoding="utf-8", newline="\n")
    shown = f"{one_line(label)} (83%)".lstrip()
    assert read_back(path) == [
        (0.5, 0.5, "before (50%)"),
        (1.0, 1.5, shown),
        (3600.0, 1.0, "after (100%)"),
    ]


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(st.text(), st.text(), st.floats(0, 9), st.floats(0, 1)), max_size=8))
def test_a_table_comes_back_without_formulas(rows: list[tuple[str, str, float, float]]) -> None:
    found = [(video, Segment(0.0, end, label, share)) for video, label, end, share in rows]
    header, *lines = csv.reader(io.StringIO(csv_of(found), newline=""))
    assert header == ["video", "start", "end", "label", "probability"]
    assert len(lines) == len(rows)
    for line, (video, label, end, share) in zip(lines, rows, strict=True):
        for cell, text in ((line[0], video), (line[3], label)):
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
            assert cell.removeprefix("'") == text.removeprefix("'") or cell == text
        assert float(line[1]) == 0
        assert float(line[2]) == pytest.approx(end, abs=0.0005)
        assert float(line[4]) == pytest.approx(share, abs=5e-7)


def test_a_table_looks_like_this() -> None:
    found = [
        ("-a.mp4", Segment(0.0, 1.5, "=1+1", 0.25)),
        ("b.mp4", Segment(1.0, 2.0, 'a, "b"', 1.0)),
    ]
    assert csv_of(found) == (
        "video,start,end,label,probability\n"
        "'-a.mp4,0.000,1.500,'=1+1,0.250000\n"
        'b.mp4,1.000,2.000,"a, ""b""",1.000000\n'
    )
