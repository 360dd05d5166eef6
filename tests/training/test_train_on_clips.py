"""`marey train FOLDER` from the words to the answer, with tiny networks."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_networks import TSN_TINY

from marey.cli import main
from marey.index import Index

FLAGS = (
    f"--model={TSN_TINY}",
    "--epochs=1",
    "--batch=4",
    "--at-once=4",
    "--validate-every=1",
    "--snippets=3",
    "--cached-views=1",
    "--hold-out=0.5",
    "--workers=0",
    "--save-minutes=0",
    "--device=cpu",
)


@pytest.fixture
def folder(films: Index, tmp_path: Path) -> Path:
    for label in films.classes:
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(4):
            shutil.copy(films.root / f"{label}{number}.avi", tmp_path / "clips" / label)
    return tmp_path / "clips"


def marey(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_folder_becomes_a_network_a_report_and_an_accuracy_with_its_interval(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my model"
    (folder / "left" / "broken.avi").write_bytes(b"not a video")
    assert marey("train", folder, "--out", out, *FLAGS) == 3
    printed, said = capsys.readouterr()
    assert "unusable: left/broken.avi: " in said
    assert "(95 %: " in printed
    assert " of 8 clips held out in 2 parts, from 8 recordings" in printed
    assert f"next: marey predict new-clip.mp4 --model '{out}'" in said
    page = (out / "report" / "report.html").read_text()
    assert "part-1-off" in page
    assert not list(out.glob("unfinished*"))

    # Again, and as JSON: nothing is learnt anew.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert marey("train", folder, "--out", out, *FLAGS, "--json", "--quiet") == 3
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    assert result["held_out_videos"] == 8
    low, high = result["accuracy_interval"]
    assert 0 <= low <= result["accuracy"] <= high <= 1
    assert low < high
    assert list(result["unusable"]) == ["left/broken.avi"]

    clip = folder / "right" / "right0.avi"
    assert marey("predict", clip, "--model", out, "--backend=torch", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert {row["label"] for row in answer["predictions"]} == {"left", "right"}


@pytest.fixture
def ask() -> Iterator[Callable[[dict[str, Any]], str]]:
    """Ask a server of processes."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("small_marey.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        requests, answers = server.stdin, server.stdout

        def ask(request: dict[str, Any]) -> str:
            requests.write(json.dumps(request) + "\n")
            requests.flush()
            return answers.readline().strip()

        yield ask


@pytest.mark.slow
def test_killed_again_and_again_the_same_words_end_with_the_same_bytes(
    folder: Path, tmp_path: Path, ask: Callable[[dict[str, Any]], str]
) -> None:
    def run(out: str, seconds: float) -> int:
        """Return the exit code, having killed the run if it takes longer."""
        words = ["train", str(folder), "--out", str(tmp_path / out), "--quiet", *FLAGS]
        said = str(tmp_path / "said.txt")
        pid = int(ask({"arguments": words, "said": said, "point": None}))
        deadline = time.monotonic() + seconds
        while (code := ask({"pid": pid})) == "runs":
            if time.monotonic() > deadline:
                os.killpg(pid, signal.SIGKILL)
                deadline = math.inf
            time.sleep(0.02)
        return int(code)

    started = time.monotonic()
    assert run("whole", 300) == 0
    usual = time.monotonic() - started
    # What one does the next does not do again, so the kills are in different parts of the work.
    codes = [run("killed", usual * share) for share in (0.1, 0.3, 0.3, 0.2, 0.05)]
    assert codes.count(-signal.SIGKILL) >= 3
    assert run("killed", 300) == 0
    for name in ("model.safetensors", "index.csv", "held-out.npz", "result.json"):
        ours, theirs = (tmp_path / out / name for out in ("killed", "whole"))
        assert ours.read_bytes().replace(b"/killed/", b"/whole/") == theirs.read_bytes(), name
    assert not list((tmp_path / "killed").glob("unfinished*"))
