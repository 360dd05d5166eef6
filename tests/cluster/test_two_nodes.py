"""What a cluster does is what one computer does, also when half of it is killed."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from marey.index import Entry, Index, write_index
from marey.video import write_video

pytestmark = [
    pytest.mark.slow,
    # Importing Ray takes seconds, also where these tests are not run.
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(find_spec("cv2") is None, reason="OpenCV is not installed"),
]

ENVIRONMENT = os.environ | {
    "MAREY_BACKEND": "torch",
    "OMP_NUM_THREADS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_raylet_start_wait_time_s": "120",
}
Tell = Callable[[str], str]


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[str, Tell]]:
    """Address of a cluster of one node, and what changes it."""
    command = [sys.executable, str(Path(__file__).with_name("nodes.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        wishes, answers = process.stdin, process.stdout

        def tell(wish: str) -> str:
            wishes.write(f"{wish}\n")
            wishes.flush()
            return answers.readline().strip()

        yield answers.readline().strip(), tell
        wishes.close()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of sixteen films, one damaged, one unusable, one at an address."""
    root = tmp_path_factory.mktemp("films")
    entries = []
    for number in range(16):
        path = root / f"{number}.avi"
        film(path, 20 + 2 * number, seed=number)
        entries.append(Entry(path.name, "walk" if number % 2 else "golf", "test"))
    data = (root / "3.avi").read_bytes()
    (root / "3.avi").write_bytes(data[: len(data) * 4 // 5])
    (root / "5.avi").write_text("no video")
    write_index(Index(root, tuple(entries), ("golf", "walk")), root / "index.csv")
    return root / "index.csv"


def film(path: Path, frames: int, *, seed: int) -> None:
    blocks = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    still = blocks.repeat(8, 0).repeat(8, 1)
    write_video(path, np.stack([np.roll(still, 2 * t, 1) for t in range(frames)]))


def start(*words: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "marey", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )


def run(*words: str | Path) -> tuple[int, bytes]:
    """Return the exit code and what was printed."""
    with start(*words) as process:
        printed, said = process.communicate()
    assert b"Traceback" not in said, said.decode()
    return process.returncode, printed


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def lines(folder: Path) -> list[str]:
    file = folder / "ledger.jsonl"
    text = file.read_text() if file.exists() else ""
    return [json.loads(line)["video"] for line in text.splitlines(True) if line.endswith("\n")]


def test_check_and_predict_say_what_one_computer_says(
    nodes: tuple[str, Tell], index: Path, tmp_path: Path
) -> None:
    address, _ = nodes
    at_addresses = tmp_path / "at-addresses.txt"
    folder = index.parent
    films = [f"{number}.avi" for number in range(8)]
    at_addresses.write_text("".join(f"file://{folder}/{name}\n" for name in films))
    there = ["--cluster", address]
    assert run("check", index, "--jsonl", *there) == run("check", index, "--jsonl")
    code, said = run("predict", *[folder / name for name in films], "--jsonl")
    assert code == 3
    fetched = run("predict", at_addresses, "--jsonl", *there, "--fetch", "file")
    assert fetched == (code, said.replace(b'"%s/' % bytes(folder), b'"file://%s/' % bytes(folder)))


def test_scores_are_those_of_one_computer(
    nodes: tuple[str, Tell], index: Path, tmp_path: Path
) -> None:
    from marey.models import build_model, save_checkpoint

    network = build_model("tsn_efficientnet_lite0", num_classes=2)
    model = tmp_path / "model.safetensors"
    save_checkpoint(network, model, classes=("golf", "walk"))
    words = ["test", model, index, "--crops", "1", "--snippets", "3"]
    here, there = tmp_path / "here.npz", tmp_path / "there.npz"
    assert run(*words, "--threads", "1", "--out", here)[0] == 3
    assert run(*words, "--cluster", nodes[0], "--out", there)[0] == 3
    assert here.read_bytes() == there.read_bytes()


def test_what_a_killed_node_had_is_done_again_and_the_bytes_are_those_of_one_computer(
    nodes: tuple[str, Tell], index: Path, tmp_path: Path
) -> None:
    address, tell = nodes
    assert tell("add") == "done"
    here, there = tmp_path / "here", tmp_path / "there"
    words = ["flow", index, "--method", "dis"]
    with start(*words, "--out", there, "--cluster", address) as process:
        while len(lines(there)) < 4 and process.poll() is None:
            time.sleep(0.01)
        assert tell("kill") == "done"
        before = lines(there)
        said = process.communicate()[1].decode()
    assert len(before) < 16, "the node was killed too late"
    assert process.returncode == 3, said
    assert run(*words, "--out", here)[0] == 3
    assert hashes(there) == hashes(here)
    assert sorted(lines(there)) == sorted(f"{number}.avi" for number in range(16))


def test_a_run_that_was_killed_goes_on_from_its_ledger(
    nodes: tuple[str, Tell], index: Path, tmp_path: Path
) -> None:
    words = ["flow", index, "--method", "dis", "--out", tmp_path / "flow", "--cluster", nodes[0]]
    with start(*words) as process:
        while len(lines(tmp_path / "flow")) < 4 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    done = {path: path.stat().st_ino for path in (tmp_path / "flow").glob("[!.]*.mkv")}
    assert run(*words)[0] == 3
    written_down = set(lines(tmp_path / "flow"))
    assert len(written_down) == 16
    assert {path: path.stat().st_ino for path in done} == done
