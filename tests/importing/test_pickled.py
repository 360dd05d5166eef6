import collections
import io
import os
import pickle
import pickletools
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import pth, swollen_zip

from marey.errors import CheckpointError, MareyError, RefusedError, UsageError
from marey.importing._file import read_weights

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}


class Runs:
    """What is called when a pickle of it is opened."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call = call, arguments

    def __reduce__(self) -> Any:
        return self.call

    def __call__(self) -> None:
        """Pickle asks for this of what is to be called in its turn."""


def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def hostile(kind: str, bird: Path) -> Any:
    command = f"touch {bird}"
    return {
        "system": Runs(os.system, command),
        "eval": Runs(eval, f"open({str(bird)!r}, 'w').close()"),
        "getattr": Runs(Runs(getattr, Runs(import_module, "os"), "system"), command),
        "module": torch.nn.Linear(1, 1),
    }[kind]


@pytest.mark.parametrize("kind", ["system", "eval", "getattr", "module"])
@pytest.mark.parametrize("how", ["archive", "legacy", "plain", "text", "best_prec1"])
def test_a_pickle_that_could_run_code_is_refused_and_nothing_runs(
    kind: str, how: str, tmp_path: Path
) -> None:
    bird = canary(tmp_path)
    path = tmp_path / "hostile.pth"
    contents = {"state_dict": STATE, "best_prec1": hostile(kind, bird)}
    if how in ("archive", "legacy"):
        pth(path, {"state_dict": hostile(kind, bird)}, archive=how == "archive")
    elif how == "best_prec1":
        pth(path, contents)
    else:
        path.write_bytes(pickle.dumps(hostile(kind, bird), protocol=0 if how == "text" else 2))
    with pytest.raises(RefusedError, match=r"hostile\.pth holds something other than tensors"):
        read_weights(path)
    assert not bird.exists()


@pytest.mark.parametrize("kind", ["system", "eval", "getattr"])
def test_the_canary_would_not_survive_an_open_ear(kind: str, tmp_path: Path) -> None:
    bird = canary(tmp_path)
    pickle.loads(pickle.dumps(hostile(kind, bird)))
    assert bird.exists()


def test_archives_that_torch_cannot_read_as_tensors_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.pth.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(RefusedError, match="tar archive of PyTorch"):
        read_weights(path)
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), path)
    with pytest.raises(RefusedError, match="TorchScript program"):
        read_weights(path)
    path.write_bytes(swollen_zip())
    with pytest.raises(RefusedError, match="bytes, but unpacks to"):
        read_weights(path)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize(
    "contents",
    [
        STATE,
        collections.OrderedDict(STATE),
        {"epoch": 3, "state_dict": STATE, "best_prec1": torch.tensor(1.0)},
        {"epoch": 3, "model": STATE, "optimizer": {"state": {}, "param_groups": []}},
    ],
)
def test_a_state_dict_is_found_wherever_it_lies(
    contents: Any, archive: bool, tmp_path: Path
) -> None:
    found = read_weights(pth(tmp_path / "a.bin", contents, archive=archive))
    assert found.made_by == "pytorch"
    assert found.tensors.keys() == STATE.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in STATE.items())


def test_a_file_of_python_2_and_of_a_gpu_is_read(tmp_path: Path) -> None:
    path = pth(tmp_path / "old.pth.tar", {"state_dict": STATE, "best_prec1": 1.0}, archive=False)
    data, old = path.read_bytes(), b""
    for _ in range(5):  # magic, version, system, contents, keys; then come the values
        steps = list(pickletools.genops(data))
        ends = [at for _, _, at in steps[1:]] + [steps[-1][2] + 1]
        for (step, text, at), end in zip(steps, ends, strict=True):
            is_text = step.name == "BINUNICODE"
            old += b"U" + bytes([len(text)]) + text.encode() if is_text else data[at:end]
        data = data[ends[-1] :]
    old = old.replace(b"ctorch\nFloatStorage", b"ctorch.cuda\nFloatStorage")
    path.write_bytes(old.replace(b"U\x03cpu", b"U\x06cuda:0") + data)
    found = read_weights(path).tensors
    assert all(torch.equal(found[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"epoch": 3}, "holds no named tensors, but a dict of 'epoch'"),
        ([torch.ones(1)], "holds no named tensors, but a list"),
        ({"a": torch.ones(1), "b": 3}, "'b' is no plain tensor"),
        ({1: torch.ones(1)}, "1 is no plain tensor"),
        ({"a": torch.eye(2).to_sparse()}, "'a' is no plain tensor"),
        ({"a": torch.ones(1, dtype=torch.complex64)}, "'a' is no plain tensor"),
        ({"a": torch.ones(1, device="meta")}, "'a' is no plain tensor"),
    ],
)
def test_a_pickle_without_a_state_dict_is_an_error(
    contents: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_weights(pth(tmp_path / "a.pth", contents))


@pytest.fixture(scope="module", params=[True, False], ids=["archive", "legacy"])
def bytes_of_state(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("damaged") / "a.pth"
    return path, pth(path, STATE, archive=request.param).read_bytes()


@settings(max_examples=100, deadline=None)
@given(draw=st.data())
def test_a_pickle_cut_short_is_an_error(
    bytes_of_state: tuple[Path, bytes], draw: st.DataObject
) -> None:
    path, data = bytes_of_state
    path.write_bytes(data[: draw.draw(st.integers(1, len(data) - 1))])
    with pytest.raises(MareyError):
        read_weights(path)


def test_a_bare_safetensors_file_is_read_and_one_of_ours_needs_no_import(tmp_path: Path) -> None:
    from safetensors.torch import save

    from marey.models import save_tensors

    path = tmp_path / "a.safetensors"
    path.write_bytes(save(STATE))
    assert read_weights(path).tensors.keys() == STATE.keys()
    path.write_bytes(save(STATE)[:-1])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_weights(path)
    save_tensors(path, STATE, {})
    with pytest.raises(UsageError, match="already and needs no import"):
        read_weights(path)


def test_a_file_that_is_not_there_is_a_wrong_path(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.pth"):
        with pytest.raises(UsageError, match="is the path right"):
            read_weights(path)
