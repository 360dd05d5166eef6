import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from marey.bench import Machine
from marey.cli import main
from marey.video import write_video

QUICK = ("--snippets", "2", "--seconds", "0.001", "--threads", "1")
STAGES = ["decode", "preprocess", "backbone", "OFF", "predict"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), dtype=np.uint8)
    write_video(tmp_path / "clip.mp4", frames)
    return tmp_path / "clip.mp4"


@pytest.fixture(autouse=True)
def _quick_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in for the measurement of peak and bandwidth, which takes half a gigabyte."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(
        "marey.bench.measure_machine",
        lambda *, seconds: Machine(threads=torch.get_num_threads(), flops=1e12, bandwidth=1e11),
    )
    yield
    torch.set_num_threads(threads)


def run(*words: str | Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert caught.value.code == 0


def refused(*words: str | Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert caught.value.code == 2


def test_the_table_has_a_line_for_each_stage(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("bench", clip, "--network", "efficientnet_lite0", *QUICK)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"off_efficientnet_lite0, untrained on {clip}"
    assert lines[1].endswith("threads: 1")
    assert lines[2] == "peak 1000.0 GFLOP/s, copy 100.0 GB/s"
    head, units, *table = lines[4:]
    assert {len(line) for line in table} == {len(head)}
    assert units.split() == ["ms", "ms", "ms", "frames/s"]
    rows = [line.split() for line in table]
    assert [row[0] for row in rows] == STAGES
    assert [row[1] for row in rows] == ["5", "2", "2", "2", "2"]
    assert err.splitlines() == [f"measuring {what}" for what in ["machine", *STAGES, "machine"]]


def test_json_is_one_document(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("bench", clip, "--network", "efficientnet_lite0", *QUICK, "--json", "-q")
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert document["video"] == str(clip)
    assert document["machine"]["gflops"] == 1000.0
    assert document["machine"]["threads"] == 1
    assert [stage["stage"] for stage in document["stages"]] == STAGES
    backbone = document["stages"][2]
    # Two operations for each multiply-add, at 10^12 of them a second.
    limit = 2 / (2 * backbone["multiply_adds"] / 1e12)
    assert backbone["limit_frames_per_second"] == pytest.approx(limit)


def test_a_speed_above_the_limit_is_remarked_on(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Machine(threads=1, flops=1e6, bandwidth=1e6)
    monkeypatch.setattr("marey.bench.measure_machine", lambda *, seconds: slow)
    run("bench", clip, "--network", "efficientnet_lite0", *QUICK, "-q")
    assert "faster than the limit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "x", "--network", "bn_inception"), "exclude each other"),
        (("--snippets", "1"), "--snippets must be at least 2"),
        (("--threads", "0"), "--threads must be at least 1"),
        (("--seconds", "0"), "--seconds must be"),
        (("--seconds", "nan"), "--seconds must be"),
        (("--model", "no-such-model"), "no model 'no-such-model'"),
    ],
)
def test_impossible_wishes_are_refused(
    clip: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused("bench", clip, *words)
    assert message in capsys.readouterr().err


def test_a_missing_video_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bench", str(tmp_path / "none.mp4"), "--network", "efficientnet_lite0", *QUICK])
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("marey: ")
    assert "measuring" not in err


def test_without_a_bundled_clip_a_video_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("marey.cli.bench.files", lambda package: tmp_path)
    refused("bench")
    assert "name a video" in capsys.readouterr().err


def test_the_first_bundled_clip_is_taken_unless_a_video_is_given(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = clip.parent / "clips"
    clips.mkdir()
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    for name in ("b.avi", "a.avi"):
        write_video(clips / name, frames)
    monkeypatch.setattr("marey.cli.bench.files", lambda package: clip.parent)
    run("bench", "--network", "efficientnet_lite0", *QUICK, "--json", "-q")
    assert json.loads(capsys.readouterr().out)["video"] == str(clips / "a.avi")


def test_help_loads_no_torch() -> None:
    code = "import sys, marey.cli.bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
