"""What is shown fits the terminal, and pipes get it plain."""

import io

import numpy as np
import pytest
from rich.console import Console

from marey.cli._watch_screen import Lines, OneLine
from marey.predictor import Prediction
from marey.watching import Back, Lost, Seen, Summary


def seen(time: float, label: str) -> Seen:
    prediction = Prediction(
        video="v",
        status="ok",
        reason="",
        frames=1,
        seconds=time,
        model="m",
        labels=(label, "other"),
        probabilities=(0.874, 0.126),
    )
    return Seen(time, prediction, np.zeros((4, 4, 3), np.uint8), 0.03)


class Watched:
    """What a screen asks a watch."""

    frames = 25
    dropped = 3

    def recent_latencies(self, percents: list[float]) -> list[float]:
        return [0.031, 0.08]


SUMMARY = Summary(
    frames=1,
    looked_at=1,
    dropped=0,
    reconnects=0,
    latency_p50=0.0,
    latency_p99=0.0,
    latency_max=0.0,
    seconds=1.0,
)


def test_lines_tell_changes_that_last(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(None)
    for number in range(20):
        lines.seen(seen(number / 10, "run" if number < 10 else "sit"))
    lines.end(SUMMARY)
    assert capsys.readouterr().out.splitlines() == [
        "    0.50   87.4%  run",
        "    1.50   87.4%  sit",
    ]


def test_after_a_loss_the_label_is_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(None)
    for number in range(8):
        lines.seen(seen(number / 10, "run"))
    lines.news(Lost("gone"))
    lines.news(Back(2.0))
    for number in range(30, 38):
        lines.seen(seen(number / 10, "run"))
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == ["0.50", "3.50"]


def test_every_so_many_seconds_and_in_each_round_of_a_loop(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines(0.5)
    for time in (0.0, 0.2, 0.4, 0.5, 0.9, 1.0, 0.1, 0.3, 0.6):
        lines.seen(seen(time, "run"))
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["0.00", "0.50", "1.00", "0.10", "0.60"]


def test_what_is_over_in_a_moment_is_told_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(None)
    lines.seen(seen(0.0, "run"))
    lines.seen(seen(0.1, "sit"))
    assert capsys.readouterr().out == ""
    lines.end(SUMMARY)
    assert capsys.readouterr().out == "    0.10   87.4%  sit\n"


def test_times_of_live_sources_are_those_of_the_day(capsys: pytest.CaptureFixture[str]) -> None:
    Lines(0.0).seen(seen(1_700_000_000.0, "a\x1b[31m"))
    line = capsys.readouterr().out
    assert line.count(":") == 2
    assert "\x1b" not in line


def test_the_line_of_a_terminal_is_never_wider_than_it() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=40, color_system=None)
    line = OneLine(Watched(), console)
    with line.shown():
        line.seen(seen(0.0, "a label that is longer than all the others"))
        line.news(Lost("gone"))
        line.seen(seen(0.1, "run"))
    text = file.getvalue()
    assert "87% run" in text
    assert "lost" in text
    assert "31/80 ms" in text
    import re

    plain = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", text))
    assert max(len(part.rstrip()) for part in plain) <= 40
