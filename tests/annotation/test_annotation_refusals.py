"""What cannot be annotated harms nothing, and what is damaged is said to be."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from annotated_films import film, soft_frames

from marey.annotation import annotate
from marey.errors import UsageError, VideoError
from marey.video import VideoReader, check_video

KILLED = """
import os, signal, sys
from marey.annotation import annotate
asked = iter(range(100))
def says(seconds):
    if next(asked) == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return [("golf", 0.5)]
annotate(sys.argv[1], sys.argv[2], says)
"""


def golf(seconds: float) -> list[tuple[str, float]]:
    return [("golf", 0.83)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return film(tmp_path / "in" / "a.mp4", soft_frames(60, 48, 64), sounds=("aac",))


def test_a_killed_run_leaves_the_old_film_and_the_next_one_ends(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    process = subprocess.run([sys.executable, "-c", KILLED, path, out], check=False)
    assert process.returncode == -signal.SIGKILL
    assert out.read_bytes() == b"old"
    annotate(path, out, golf)
    assert check_video(out).frames == 60
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in", "out.mp4"]


def test_an_answer_that_fails_leaves_nothing(path: Path, tmp_path: Path) -> None:
    def says(seconds: float) -> list[tuple[str, float]]:
        if seconds > 1:
            raise RuntimeError("no answer")
        return []

    with pytest.raises(RuntimeError, match="no answer"):
        annotate(path, tmp_path / "out.mkv", says)
    assert [file.name for file in tmp_path.iterdir()] == ["in"]


def test_a_film_is_not_written_over_by_whatever_name_it_goes(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    (tmp_path / "soft.mp4").symlink_to(path)
    (tmp_path / "hard.mkv").hardlink_to(path)
    for out in (path, tmp_path / "in" / ".." / "in" / "a.mp4", "soft.mp4", "hard.mkv"):
        with pytest.raises(UsageError, match="is the video itself; give"):
            annotate(path, tmp_path / out, golf)
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", ["out.avi", "out", "out.mp4.txt", ".mp4"])
def test_a_name_that_is_none_of_a_film_is_refused(name: str, path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.mp4, \.mkv, \.mov; got "):
        annotate(path, tmp_path / name, golf)


def test_what_is_no_film_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    for name, message in {
        "text.mp4": "not a video",
        "missing.mp4": "does not exist",
        ".": "is a folder",
    }.items():
        with pytest.raises(VideoError, match=message):
            annotate(tmp_path / name, tmp_path / "out.mp4", golf)
    assert [file.name for file in tmp_path.iterdir()] == ["text.mp4"]


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_of_a_film_cut_short_what_decodes_is_written(suffix: str, tmp_path: Path) -> None:
    codec, sounds = ("mpeg4", ("libmp3lame",)) if suffix == ".avi" else ("libx264", ("aac",))
    whole = film(tmp_path / f"a{suffix}", soft_frames(60), codec=codec, sounds=sounds)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    verdict = annotate(cut, tmp_path / "out.mp4", golf)
    assert verdict.status == "damaged"
    assert "ends early" in verdict.reason
    with VideoReader(cut) as source, VideoReader(tmp_path / "out.mp4") as written:
        assert verdict.frames == len(source) == len(written)
        assert 10 < len(written) < 60
        assert written.verdict().status == "ok"


def test_a_film_with_a_hole_is_written_whole_and_called_damaged(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", soft_frames(60), sounds=("aac",))
    data = bytearray(path.read_bytes())
    chance = np.random.default_rng(3)
    middle = len(data) // 2
    data[middle : middle + 400] = chance.bytes(400)
    path.write_bytes(data)
    verdict = annotate(path, tmp_path / "out.mp4", golf)
    assert verdict.status == "damaged"
    assert verdict.reason
    assert check_video(tmp_path / "out.mp4").frames == verdict.frames > 20


def test_a_disk_that_is_full_is_told_and_nothing_is_left(path: Path, tmp_path: Path) -> None:
    limited = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from marey.annotation import annotate\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: annotate(sys.argv[1], sys.argv[2], lambda seconds: [('golf', 0.5)])\n"
        "except (OSError, ValueError) as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, path, tmp_path / "out.mkv"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "File too large" in done.stdout or "file too large" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["in"]
