"""A checkpoint of each version that was released loads, and answers as it did then.

`released/VERSION.safetensors` is of the tiny OFF network of the tests, `released/VERSION.json`
has its answers, written by that version.
"""

import json
import sys
from pathlib import Path

import pytest
import torch

from marey.models import OFF_NETWORKS, load_model

sys.path.append(str(Path(__file__).parents[1] / "training"))

from tiny_networks import OFF_TINY, SIZE, off_tiny

FILES = sorted((Path(__file__).parent / "released").glob("*.safetensors"))


def clips() -> torch.Tensor:
    """Return three snippets of two videos, the same everywhere."""
    values = torch.arange(2 * 3 * 3 * SIZE * SIZE, dtype=torch.float32)
    return torch.sin(values / 7).reshape(2, 3, 3, SIZE, SIZE)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_an_old_checkpoint_answers_as_it_did(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OFF_NETWORKS, OFF_TINY, off_tiny)
    model = load_model(file)
    then = json.loads(file.with_suffix(".json").read_text())
    assert list(model.classes) == then["classes"]
    assert model.fusion == then["fusion"]
    with torch.inference_mode():
        heads = model(clips())
    assert {name: tuple(logits.shape) for name, logits in heads.items()} == {
        name: (2, len(rows[0]), 2) for name, rows in then["heads"].items()
    }
    for name, logits in heads.items():
        torch.testing.assert_close(logits, torch.tensor(then["heads"][name]), rtol=1e-4, atol=1e-5)


def test_there_is_one_of_this_version() -> None:
    from importlib.metadata import version

    assert version("marey") in [path.stem for path in FILES]
