"""Shards hold what the index says, in its order, and the same bytes whenever they are made."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marey.cli import main
from marey.data import write_shards
from marey.errors import UsageError
from marey.index import Entry, Index, read_index
from marey.video import open_bytes, open_video, write_video

MEGABYTES = 0.012


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Index:
    root = tmp_path_factory.mktemp("clips")
    entries = []
    for number, name in enumerate(("b/two.two.avi", "a/öne, \n.avi", "a/three.MP4", "b/four")):
        (root / name).parent.mkdir(exist_ok=True)
        frames = np.random.default_rng(number).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
        write_video(root / "made.avi", frames)
        (root / "made.avi").rename(root / name)
        entries.append(Entry(name, name[0], "train", group=f"{number}"))
    entries[1] = replace(entries[1], start=0.0, end=0.05)
    return Index(root, tuple(entries), ("a", "b"))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.tar")}


def test_shards_hold_the_videos_and_what_the_index_says_of_them(
    clips: Index, tmp_path: Path
) -> None:
    inside = write_shards(clips, tmp_path, megabytes=MEGABYTES)
    assert inside.classes == clips.classes
    assert len(bytes_of(tmp_path)) > 1
    assert [entry.path.partition("/")[2] for entry in inside.entries] == [
        "00000000_two_two.avi",
        "00000001__ne_.avi",
        "00000002_three.mp4",
        "00000003_four.bin",
    ]
    assert not inside.missing()
    for ours, theirs in zip(inside.entries, clips.entries, strict=True):
        assert replace(ours, path=theirs.path) == theirs
        with open_bytes(inside.file(ours)) as file:
            assert file.read() == clips.file(theirs).read_bytes()
        with open_video(inside.file(ours)) as one, open_video(clips.file(theirs)) as other:
            assert np.array_equal(one[2], other[2])
        about = inside.file(ours).with_suffix(".json")
        with open_bytes(about) as file:
            said = json.loads(file.read())
        assert Entry(**said) == theirs


def test_a_shard_is_an_archive_of_nobody_and_no_time(clips: Index, tmp_path: Path) -> None:
    write_shards(clips, tmp_path)
    with tarfile.open(tmp_path / "shard-000000.tar") as tar:
        members = tar.getmembers()
    assert len(members) == 8
    for member in members:
        told = (member.mtime, member.uid, member.gid, member.uname, member.gname, member.mode)
        assert told == (0, 0, 0, "", "", 0o644)


def test_shards_made_again_are_the_same_and_are_not_written_again(
    clips: Index, tmp_path: Path
) -> None:
    write_shards(clips, tmp_path / "one", megabytes=MEGABYTES)
    write_shards(clips, tmp_path / "two", megabytes=MEGABYTES)
    data = bytes_of(tmp_path / "one")
    assert data == bytes_of(tmp_path / "two")
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "one").glob("*.tar")}
    lost = min(written)
    lost.unlink()
    write_shards(clips, tmp_path / "one", megabytes=MEGABYTES)
    assert bytes_of(tmp_path / "one") == data
    assert [file for file in written if file.stat().st_mtime_ns != written[file]] == [lost]


def test_what_an_interruption_left_is_completed(
    clips: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import marey.data._shards as shards

    write_shards(clips, tmp_path / "whole", megabytes=MEGABYTES)
    real, calls = shards._write, 0

    def write(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        real(*arguments)  # type: ignore[arg-type]
        if calls == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(shards, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        write_shards(clips, tmp_path / "out", megabytes=MEGABYTES)
    write_shards(clips, tmp_path / "out", megabytes=MEGABYTES)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_fewer_shards_leave_none_of_those_before(clips: Index, tmp_path: Path) -> None:
    write_shards(clips, tmp_path, megabytes=MEGABYTES)
    write_shards(clips, tmp_path)
    assert list(bytes_of(tmp_path)) == ["shard-000000.tar"]


@pytest.mark.parametrize("name", ["shard-000000.tar", "shard-000123.tar"])
def test_shards_of_others_are_neither_read_nor_written_over(
    clips: Index, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"theirs")
    with pytest.raises(UsageError, match=f"{name} is not ours"):
        write_shards(clips, tmp_path)
    assert bytes_of(tmp_path) == {name: b"theirs"}


def test_a_folder_of_images_is_refused(clips: Index, tmp_path: Path) -> None:
    index = replace(clips, entries=(replace(clips.entries[0], path="a"),))
    with pytest.raises(UsageError, match="is a folder of images; shards hold video files"):
        write_shards(index, tmp_path)


def test_prepare_writes_an_index_of_what_the_shards_hold(
    clips: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prepare", "folder", str(clips.root), "--out", str(tmp_path / "lists" / "in.csv")]
    (tmp_path / "lists").mkdir()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--shards", str(tmp_path / "shards"), "--shard-megabytes", "0.012"])
    assert ended.value.code == 0
    index = read_index(tmp_path / "lists" / "in.csv")
    assert len(index.entries) == 3  # A file without a suffix is no video of a folder.
    assert all(entry.path.startswith("../shards/shard-0") for entry in index.entries)
    assert not index.missing()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--shard-megabytes", "5"])
    assert ended.value.code == 2
    assert "goes with --shards" in capsys.readouterr().err
