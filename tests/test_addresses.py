import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from marey.addresses import fetched, is_address, require_protocols
from marey.errors import UsageError, VideoError


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    storage = fsspec.filesystem("memory")
    storage.pipe("/clips/a.mp4", b"a film")
    yield storage
    storage.rm("/clips", recursive=True)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("s3://bucket/a.mp4", True),
        ("memory://clips/a.mp4", True),
        ("clips/a.mp4", False),
        ("/clips/a.mp4", False),
        ("clips/s3://a.mp4", False),
        ("://a.mp4", False),
        ("zip://a.mp4::s3://bucket/b.zip", True),
    ],
)
def test_an_address_begins_with_a_protocol(path: str, answer: bool) -> None:
    assert is_address(path) is answer


def test_a_video_at_an_allowed_address_is_a_copy_that_is_erased(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with fetched("memory://clips/a.mp4", Path("no"), protocols=["memory"]) as file:
        assert file.read_bytes() == b"a film"
        assert file.suffix == ".mp4"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocols", [(), ("s3",), ("mem",)])
def test_an_address_of_any_other_protocol_is_the_name_of_a_file(
    memory: fsspec.AbstractFileSystem, protocols: tuple[str, ...]
) -> None:
    with fetched("memory://clips/a.mp4", Path("here"), protocols=protocols) as file:
        assert file == Path("here")


def test_a_path_is_left_as_it_is(tmp_path: Path) -> None:
    with fetched("a.mp4", tmp_path / "a.mp4", protocols=["memory", "file"]) as file:
        assert file == tmp_path / "a.mp4"


def test_protocols_are_not_chained(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    chain = f"memory://clips/b.mp4::file://{tmp_path}/secret"
    with (
        pytest.raises(VideoError, match="nothing at this address"),
        fetched(chain, Path("no"), protocols=["memory"]),
    ):
        pass


def test_what_does_not_come_is_a_video_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(protocol: str) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(fsspec, "filesystem", broken)
    with (
        pytest.raises(VideoError, match=r"s3://b/a.mp4: not fetched: ConnectionError: no route"),
        fetched("s3://b/a.mp4", Path("no"), protocols=["s3"]),
    ):
        pass


def test_a_protocol_that_nothing_reads_is_refused_at_once() -> None:
    require_protocols(["file", "memory"])
    with pytest.raises(UsageError, match="carrier-pigeon: videos cannot be fetched"):
        require_protocols(["carrier-pigeon"])
