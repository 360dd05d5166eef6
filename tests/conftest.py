"""Fixtures that every test may use."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _run_by_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Spare networks the seconds that a graph of each takes, and the user's cache the graphs."""
    monkeypatch.setenv("MAREY_BACKEND", "torch")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)
