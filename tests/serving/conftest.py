from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from services import client_of, film, ready, service_of
from starlette.testclient import TestClient

from marey.models import save_checkpoint
from marey.serving import Limits

if TYPE_CHECKING:
    from marey.models import OFF


@pytest.fixture(scope="session")
def checkpoint(telling_network: "OFF", tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "small.safetensors"
    save_checkpoint(
        telling_network,
        path,
        classes=telling_network.classes,
    )
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="session")
def client(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a service that is warm, for all tests that leave it as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAREY_BACKEND", "torch")
        limits = Limits(bytes=1 << 20, seconds=20.0, pixels=640 * 480)
        service = service_of(checkpoint, tmp_path_factory.mktemp("state"), limits=limits)
        with client_of(service) as asking:
            yield ready(asking)
