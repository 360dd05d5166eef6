"""Videos are read inside archives, and archives that mean harm are refused."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import marey.video._archive as archives
from marey.errors import RefusedError, VideoError
from marey.video import VideoReader, check_video, holding, is_there, open_bytes, write_video


def archive_of(file: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for info, data in members:
            info.size = len(data) if info.isfile() else 0
            tar.addfile(info, io.BytesIO(data))
    return file


def named(name: str, **about: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for field, value in about.items():
        setattr(info, field, value)
    return info


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clip") / "clip.avi"
    rng = np.random.default_rng(0)
    write_video(file, rng.integers(0, 255, (8, 32, 48, 3), dtype=np.uint8))
    return file


def test_a_video_in_an_archive_has_the_same_frames_and_verdict(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    archive_of(
        tmp_path / "shard.tar",
        (named("first.txt"), b"words"),
        (named("./deep", type=tarfile.DIRTYPE), b""),
        (named("./deep/clip.avi"), data),
        (named("last.avi"), data[: len(data) // 2]),
    )
    inside = tmp_path / "shard.tar" / "deep" / "clip.avi"
    with VideoReader(inside) as ours, VideoReader(clip) as theirs:
        assert np.array_equal(ours.frames_at(range(8)), theirs.frames_at(range(8)))
    assert check_video(inside) == check_video(clip)
    assert check_video(tmp_path / "shard.tar" / "last.avi").status != "ok"
    assert holding(inside) == tmp_path / "shard.tar"
    assert holding(clip) == clip
    assert is_there(inside)
    assert not is_there(inside.with_name("other.avi"))


def test_a_member_reads_as_a_file_of_its_own(tmp_path: Path) -> None:
    archive_of(tmp_path / "a.tar", (named("one"), b"0123456789"), (named("two"), b"abc"))
    with open_bytes(tmp_path / "a.tar" / "one") as file:
        assert file.read(4) == b"0123"
        assert file.seek(-2, 2) == 8
        assert file.read(100) == b"89"
        assert file.read(1) == b""
        assert file.seek(7) == 7
        assert file.readall() == b"789"
        assert file.seek(1) == 1
        assert file.seek(2, 1) == file.tell() == 3
        with pytest.raises(OSError, match="before the beginning"):
            file.seek(-1)


def test_what_an_archive_does_not_hold_does_not_exist(tmp_path: Path) -> None:
    archive_of(tmp_path / "a.tar", (named("one"), b"1"))
    with pytest.raises(VideoError, match=r"a\.tar/two does not exist"):
        VideoReader(tmp_path / "a.tar" / "two")


HARM: dict[str, tuple[tarfile.TarInfo, ...]] = {
    "above": (named("../x"),),
    "above, deep": (named("a/../../x"),),
    "absolute": (named("/etc/x"),),
    "backslashes": (named("..\\x"),),
    "drive": (named("C:x"),),
    "symbolic link": (named("x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),),
    "hard link": (named("x", type=tarfile.LNKTYPE, linkname="/etc/passwd"),),
    "device": (named("x", type=tarfile.CHRTYPE),),
    "pipe": (named("x", type=tarfile.FIFOTYPE),),
    "set user id": (named("x", mode=0o4755),),
    "twice": (named("x"), named("x")),
    "case clash": (named("x"), named("X")),
    "odd name": (named("a//x"),),
}


@pytest.mark.parametrize("harm", HARM)
def test_an_archive_that_means_harm_is_refused_as_a_whole(tmp_path: Path, harm: str) -> None:
    members = [(info, b"1") for info in (named("fine.avi"), *HARM[harm])]
    file = archive_of(tmp_path / "a.tar", *members)
    with pytest.raises(RefusedError, match=r"a\.tar: member .* is not read"):
        is_there(file / "fine.avi")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_archives_of_too_many_members_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    archive_of(tmp_path / "a.tar", *((named(f"{number}"), b"") for number in range(4)))
    with pytest.raises(RefusedError, match="more than 3 members"):
        is_there(tmp_path / "a.tar" / "1")


def huge_header(data: bytes) -> bytes:
    """Return an archive whose first header announces a gigabyte of words about the next."""
    info = named("x", type=tarfile.XHDTYPE, size=1 << 30)
    return info.tobuf() + data


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda data: data[:700], "ends before its member"),
        (lambda data: b"no archive" * 200, "not an uncompressed tar archive"),
        (huge_header, "a header of 1,073,7"),
    ],
    ids=["cut", "other", "huge header"],
)
def test_a_damaged_archive_is_named(
    tmp_path: Path, damage: Callable[[bytes], bytes], why: str
) -> None:
    file = archive_of(tmp_path / "a.tar", (named("x.avi"), b"1" * 1000))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(VideoError, match=why):
        is_there(file / "x.avi")


def test_an_archive_that_changed_is_read_anew(tmp_path: Path) -> None:
    archive_of(tmp_path / "a.tar", (named("x"), b"1"))
    assert is_there(tmp_path / "a.tar" / "x")
    archive_of(tmp_path / "a.tar", (named("y"), b"1" * 20000))
    assert not is_there(tmp_path / "a.tar" / "x")
