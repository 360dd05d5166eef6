"""`marey predict --annotate`."""

from pathlib import Path

import numpy as np
import pytest
from films import Run, film

from marey.video import VideoReader, write_video


def changed(before: Path, after: Path) -> list[bool]:
    """Return of each frame whether there is a caption on it."""
    with VideoReader(before) as old, VideoReader(after) as new:
        frames = range(len(old))
        assert len(new) == len(old)
        assert new.fps == pytest.approx(old.fps)
        difference = np.abs(old.frames_at(frames).astype(int) - new.frames_at(frames))
    rows = difference.shape[1]
    return [bool(frame[rows // 2 :].max() > 90) for frame in difference]


def grey(path: Path, frames: int = 8) -> Path:
    write_video(path, np.full((frames, 96, 128, 3), 100, np.uint8))
    return path


def test_a_video_is_written_again_with_its_caption_beside_the_answer(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, out = grey(tmp_path / "clip.avi"), tmp_path / "new" / "out.mkv"
    assert run("predict", video, "--model", checkpoint, "--annotate", out) == 0
    assert capsys.readouterr().out.startswith(str(video))
    assert changed(video, out) == [True] * 8


def test_segments_are_shown_while_they_last(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, out = grey(tmp_path / "clip.mp4", 12), tmp_path / "out.mp4"
    words = ["predict", video, "--model", checkpoint, "--segments", "--annotate", out]
    assert run(*words, "--unsure", "0.01") == 0
    assert changed(video, out) == [True] * 12
    assert run(*words, "--unsure", "0.99") == 0
    assert changed(video, out) == [False] * 12


def test_videos_of_one_name_do_not_share_a_file(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    videos = [grey(tmp_path / name) for name in ("a.mp4", "a.avi", "a-2.mp4")]
    words = [*videos, "--model", checkpoint, "--annotate", tmp_path / "out"]
    assert run("predict", *words) == 0
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["a-2-2.mp4", "a-2.mp4", "a.mp4"]


def test_one_that_cannot_be_annotated_is_named_and_the_others_are_written(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey(tmp_path / "in" / "good.mp4")
    (tmp_path / "in" / "text.mp4").write_text("no video")
    words = [tmp_path / "in", "--model", checkpoint, "--annotate", tmp_path / "out"]
    assert run("predict", *words) == 3
    assert "text.mp4" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.mp4"]


def test_words_that_do_not_fit_are_explained_before_anything_is_looked_at(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = film(tmp_path / "a.mp4"), film(tmp_path / "b.avi")
    film(tmp_path / "b.mp4")
    data = {path: path.read_bytes() for path in tmp_path.iterdir()}
    cases = [
        ([a, "--annotate", a], "is the video itself; give"),
        ([a, "--annotate", tmp_path / "out.webm"], "ends in .mp4, .mkv, .mov; got 'out.webm'"),
        ([a, b, "--annotate", tmp_path / "out.mp4"], "one file, and there are 2 videos"),
        ([a, b, "--annotate", tmp_path], "is the video itself"),
        ([b, tmp_path / "b.mp4", "--annotate", tmp_path], "is one of the videos; name another"),
    ]
    for words, message in cases:
        assert run("predict", *words, "--model", "no such model") == 2, words
        assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == data


def test_motion_is_laid_over_what_moves(run: Run, tmp_path: Path) -> None:
    clip, plain, warm = (tmp_path / name for name in ("clip.mp4", "plain.mp4", "warm.mp4"))
    frames = np.full((8, 96, 128, 3), 100, np.uint8)
    frames[4:, :32, :32] = np.random.default_rng(0).integers(0, 255, (32, 32, 1), np.uint8)
    write_video(clip, frames)
    model = "off-lite0-jhmdb"
    assert run("predict", clip, "--model", model, "--annotate", plain) == 0
    assert run("predict", clip, "--model", model, "--annotate", warm, "--overlay") == 0
    with VideoReader(plain) as one, VideoReader(warm) as other:
        pictures = [reader.frames_at(range(8)).astype(int) for reader in (one, other)]
    difference = np.abs(pictures[0] - pictures[1])[:, :40].mean(axis=(1, 2, 3))
    assert difference.argmax() == 4
    assert difference[:4].max() < 1


def test_motion_that_cannot_be_laid_over_is_refused_before_anything_is_done(
    run: Run, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, out = grey(tmp_path / "clip.mp4"), tmp_path / "out.mp4"
    assert run("predict", video, "--model", checkpoint, "--overlay") == 2
    assert "--annotate" in capsys.readouterr().err
    exported = tmp_path / "net.onnx"
    assert run("predict", video, "--model", exported, "--annotate", out, "--overlay") == 2
    assert "checkpoint" in capsys.readouterr().err
    assert not out.exists()
