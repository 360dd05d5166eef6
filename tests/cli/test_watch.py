"""`marey watch` tells what is done, and ends when it should."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from films import CLASSES, Run, film

from marey.cli import watch
from marey.video import write_video


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A quick film: 30 frames in 0.3 seconds."""
    from marey.video import open_video

    with open_video(film(tmp_path / "slow.mp4", frames=30)) as video:
        write_video(tmp_path / "clip.mp4", video.frames_at(range(30)), fps=100.0)
    return tmp_path / "clip.mp4"


def events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_pipe_gets_one_line_for_a_film_of_one_action(
    run: Run, checkpoint: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    assert run("watch", clip, "--model", checkpoint) == 0
    out, err = capsys.readouterr()
    (line,) = out.splitlines()
    assert line.split()[-1] in CLASSES
    assert "30 frames in" in err
    assert "\x1b" not in out + err
    assert "\r" not in out + err
    assert torch.get_num_threads() == threads


def test_every_answer_is_an_object_and_the_summary_is_the_last(
    run: Run, checkpoint: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--jsonl", "--every", "0", "--top", "2", "--window", "1", "--quiet"]
    assert run("watch", clip, "--model", checkpoint, *words) == 0
    out, err = capsys.readouterr()
    *actions, summary = events(out)
    assert err == ""
    assert {event["event"] for event in actions} == {"action"}
    times = [event["time"] for event in actions]
    assert times == sorted(times)
    assert times[0] == 0
    for event in actions:
        assert event["label"] == event["predictions"][0]["label"]
        assert len(event["predictions"]) == 2
        assert event["latency_ms"] > 0
        assert event["latency_p50_ms"] <= event["latency_p99_ms"]
    assert summary["event"] == "summary"
    assert summary["frames"] == 30
    assert summary["looked_at"] == len(actions)
    assert summary["dropped"] == actions[-1]["dropped"]
    assert summary["reconnects"] == 0


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, 130, ["--every", "0.1"]), (signal.SIGTERM, 143, ["--jsonl"])],
)
def test_a_signal_ends_it_with_the_summary(
    run: Run,
    checkpoint: Path,
    clip: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
    words: list[str],
) -> None:
    made = watch._screen

    def screen(*given, **named):
        screen = made(*given, **named)
        seen = screen.seen
        screen.seen = lambda event: (seen(event), os.kill(os.getpid(), number))
        return screen

    monkeypatch.setattr(watch, "_screen", screen)
    before = signal.getsignal(signal.SIGINT)
    assert run("watch", clip, "--model", checkpoint, "--loop", *words) == code
    out, err = capsys.readouterr()
    assert "frames in" in err.splitlines()[-1]
    assert "Traceback" not in err
    if "--jsonl" in words:
        assert events(out)[-1]["event"] == "summary"
    else:
        assert out.splitlines()[-1].split()[-1] in CLASSES
    assert signal.getsignal(signal.SIGINT) is before


def test_what_cannot_be_watched_has_its_exit_code(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    cases = [
        (["missing.mp4"], 2, "missing.mp4 is not there"),
        ([tmp_path / "text.mp4"], 1, "not a video"),
        (["file:///etc/passwd"], 2, "only addresses"),
        (["998"], 2, "no camera"),
        (["http://127.0.0.1:1/", "--give-up", "0"], 1, "gave up after 0 seconds"),
        (["998", "--every", "-1"], 2, "--every must be some seconds"),
        (["998", "--give-up", "nan"], 2, "--give-up must be some seconds"),
        (["998", "--top", "0"], 2, "--top"),
        (["998", "--threads", "0"], 2, "--threads"),
    ]
    for words, code, complaint in cases:
        assert run("watch", *words, "--model", checkpoint) == code, words
        err = capsys.readouterr().err
        assert complaint in err
        assert "Traceback" not in err


def test_a_source_that_is_lost_is_told_in_words_and_as_an_event(
    run: Run, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--jsonl", "--give-up", "0", "--model", checkpoint]
    assert run("watch", "rtsp://user:secret@127.0.0.1:1/live", *words) == 1
    out, err = capsys.readouterr()
    lost, summary = events(out)
    assert lost["event"] == "lost"
    assert "rtsp://user:***@127.0.0.1:1/live cannot be opened" in str(lost["reason"])
    assert summary["frames"] == 0
    assert "trying again" in err
    assert "secret" not in out + err


def test_without_a_display_a_window_is_refused_before_anything_else(
    run: Run, clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    assert run("watch", clip, "--show", "--model", "no-such-model") == 2
    err = capsys.readouterr().err
    assert "--show needs" in err
    assert "leave it out" in err
