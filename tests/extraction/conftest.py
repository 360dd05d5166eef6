import shutil
from pathlib import Path

import pytest
from flow_films import DIS, film, index_of
from killable_flow import work_here

from marey.extraction import extract
from marey.index import Index


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do videos in this process, their flow small."""
    work_here(monkeypatch.setattr)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of films, of which nothing is changed."""
    root = tmp_path_factory.mktemp("films")
    film(root / "a.avi", 4)
    film(root / "walk" / "b.mp4", 5, seed=1)
    film(root / "long.avi", 150, seed=2, fps=10.0)
    film(root / "one.avi", 1)
    (root / "text.avi").write_text("no video")
    data = film(root / "cut.avi", 20).read_bytes()
    (root / "cut.avi").write_bytes(data[: len(data) * 4 // 5])
    return root


@pytest.fixture(scope="session")
def ready(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flow of three videos, one of them unusable."""
    folder = tmp_path_factory.mktemp("ready") / "flow"
    with pytest.MonkeyPatch.context() as patch:
        work_here(patch.setattr)
        extract(index_of(films, "a.avi", "walk/b.mp4", "text.avi"), DIS, folder, workers=1)
    return folder


@pytest.fixture
def kept(ready: Path, tmp_path: Path) -> Path:
    """A copy of that flow."""
    return Path(shutil.copytree(ready, tmp_path / "flow"))


@pytest.fixture
def three(films: Path) -> Index:
    return index_of(films, "a.avi", "walk/b.mp4", "text.avi")
