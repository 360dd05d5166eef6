import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from marey.cli import main
from marey.video import write_video


@pytest.fixture
def index(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), dtype=np.uint8)
    write_video(tmp_path / "a.mp4", frames)
    write_video(tmp_path / "b.mp4", frames[:4])
    path = tmp_path / "videos.csv"
    path.write_text("path,label,split\na.mp4,walk,train\nb.mp4,walk,test\n")
    return path


@pytest.fixture
def faulty(index: Path) -> Path:
    shutil.copy(index.parent / "a.mp4", index.parent / "copy.mp4")
    (index.parent / "text.mp4").write_text("not a video")
    index.write_text(index.read_text() + "text.mp4,walk,train\ncopy.mp4,walk,test\n")
    return index


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    code = caught.value.code
    assert isinstance(code, int)
    return code


def test_sound_videos_are_only_counted(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", index) == 0
    out, err = capsys.readouterr()
    assert out == "2 videos: 2 ok, 0 damaged, 0 unusable\n"
    assert err == ""


def test_others_are_named_with_the_reason(faulty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", faulty, "--workers", "1") == 3
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("unusable  text.mp4: ")
    assert lines[1:] == [
        "same video  a.mp4 (train), copy.mp4 (test)",
        "4 videos: 3 ok, 0 damaged, 1 unusable",
    ]


def test_json_is_one_document_and_jsonl_one_object_a_video(
    faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", faulty, "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert [video["status"] for video in document["videos"]] == ["ok", "ok", "unusable", "ok"]
    assert (document["ok"], document["damaged"], document["unusable"]) == (3, 0, 1)
    assert document["same"] == [
        [{"video": "a.mp4", "split": "train"}, {"video": "copy.mp4", "split": "test"}]
    ]
    assert run("check", faulty, "--jsonl", "-q") == 3
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == document["videos"]
    assert err == "same video  a.mp4 (train), copy.mp4 (test)\n"


def test_two_kinds_of_json_at_once_are_refused(
    index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", index, "--json", "--jsonl") == 2
    assert "exclude each other" in capsys.readouterr().err
