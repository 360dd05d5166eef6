"""Files that would run code are refused by whatever opens files, and nothing of them runs."""

import io
import itertools
import os
import pickle
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from marey.errors import MareyError, RefusedError
from marey.evaluation import load_scores, read_score_file
from marey.flow import flow_estimator
from marey.importing._file import read_weights
from marey.models import load_model, load_tensors


class Runs:
    """What is called when a pickle of it is opened."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call

    def __call__(self) -> None:
        """Pickle asks for this of what is to be called in its turn."""


def gadgets(bird: Path) -> dict[str, Any]:
    """Return objects whose pickles make a file, the canary, when they are opened."""
    command = f"touch {bird}"
    inner = pickle.dumps(Runs(os.system, command))
    return {
        "system": Runs(os.system, command),
        "eval": Runs(eval, f"open({str(bird)!r}, 'w').close()"),
        "exec": Runs(exec, f"open({str(bird)!r}, 'w').close()"),
        "getattr": Runs(Runs(getattr, Runs(import_module, "os"), "system"), command),
        "popen": Runs(subprocess.Popen, ["touch", str(bird)]),
        "nested": Runs(Runs(getattr, Runs(import_module, "pickle"), "loads"), inner),
        "torch": Runs(torch.storage._load_from_bytes, inner),
        "function": Runs(Path.touch, bird),
    }


def archive(**members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return data.getvalue()


def tarred(content: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return data.getvalue()


def saved(contents: Any, **how: bool) -> bytes:
    data = io.BytesIO()
    torch.save(contents, data, **how)
    return data.getvalue()


def array(contents: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, np.array([contents], dtype=object))
    return data.getvalue()


WAYS: dict[str, Callable[[Any], bytes]] = {
    "text.pkl": partial(pickle.dumps, protocol=0),
    "old.pkl": partial(pickle.dumps, protocol=2),
    "new.ckpt": partial(pickle.dumps, protocol=5),
    "archive.pth": saved,
    "legacy.pt": partial(saved, _use_new_zipfile_serialization=False),
    "tar.pth": lambda contents: tarred(pickle.dumps(contents)),
    "script.pt": lambda contents: archive(
        **{"a/constants.pkl": pickle.dumps(contents), "a/data.pkl": pickle.dumps(contents)},
        **{"a/code/a.py": b"", "a/version": b"3"},
    ),
    "dict.pth": lambda contents: saved({"state_dict": {"weight": torch.ones(2), "x": contents}}),
    "object.npy": array,
    "objects.npz": lambda contents: archive(**{"tsn.npy": array(contents)}),
    "pickled.npz": lambda contents: archive(**{"tsn.pkl": pickle.dumps(contents)}),
    "named.safetensors": pickle.dumps,
}

OPENERS: dict[str, Callable[[Path], object]] = {
    "network": load_model,
    "tensors": load_tensors,
    "weights of others": read_weights,
    "scores": load_scores,
    "scores of others": lambda path: read_score_file(str(path)),
    "weights of RAFT": lambda path: flow_estimator("raft", weights=path),
}
NUMPY = {"object.npy", "objects.npz", "pickled.npz"}


def refusal(opener: Callable[[Path], object], path: Path) -> MareyError:
    with pytest.raises(MareyError) as caught:
        opener(path)
    return caught.value


@pytest.mark.parametrize("way", WAYS)
def test_no_opener_runs_what_a_file_holds(way: str, tmp_path: Path) -> None:
    bird = tmp_path / "canary"
    for (gadget, contents), (what, opener) in itertools.product(
        gadgets(bird).items(), OPENERS.items()
    ):
        path = tmp_path / way
        path.write_bytes(WAYS[way](contents))
        error = refusal(opener, path)
        assert not bird.exists(), (gadget, what)
        if way not in NUMPY and what == "network":
            assert isinstance(error, RefusedError), (gadget, what)
        if way in NUMPY and what == "scores of others":
            assert isinstance(error, RefusedError), (gadget, what)
