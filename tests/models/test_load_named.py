"""A network is named by what comes with the package, by its file, or by the folder it is in."""

import shutil
from pathlib import Path

import pytest

from marey.errors import UsageError
from marey.models import bundled_models, load_named

NAME = "off-lite0-jhmdb"


def test_a_folder_stands_for_the_network_in_it(tmp_path: Path) -> None:
    shutil.copy(bundled_models()[NAME], tmp_path / "model.safetensors")
    named = load_named(NAME)
    assert load_named(tmp_path).sha256 == named.sha256
    assert load_named(str(tmp_path)).classes == named.classes


def test_a_folder_without_a_finished_network_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "settings.json").touch()
    said = r"holds no model\.safetensors; if `marey train` was stopped"
    with pytest.raises(UsageError, match=said):
        load_named(tmp_path)
