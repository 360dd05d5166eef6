"""Weights of RAFT-small: their names, and files that are something else."""

import collections
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from marey.errors import CheckpointError, RefusedError, UsageError
from marey.flow._raft import raft_small
from marey.flow._raft_network import RAFTSmall
from marey.flow._raft_weights import load_raft_small

RELEASED = Path(__file__).parents[3] / "shared" / "weights" / "raft_small" / "raft-small.pth"


@pytest.fixture(scope="module")
def released() -> Path:
    if not RELEASED.exists():
        pytest.skip(f"the weights of RAFT-small are not at {RELEASED}")
    return RELEASED


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    """Weights that mean nothing, in the form of the released ones."""
    path = tmp_path / "untrained.pth"
    state = RAFTSmall().state_dict()
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)
    return path


def test_names_and_shapes_are_those_of_the_released_weights(released: Path) -> None:
    theirs = torch.load(released, weights_only=True, map_location="cpu")
    ours = RAFTSmall().state_dict()
    assert {f"module.{name}": tensor.shape for name, tensor in ours.items()} == {
        name: tensor.shape for name, tensor in theirs.items()
    }


def test_the_network_has_as_many_tensors_and_numbers_as_the_paper_says() -> None:
    parameters = dict(RAFTSmall().named_parameters())
    assert len(parameters) == 106
    assert sum(p.numel() for p in parameters.values()) == 990_162  # The paper's 1.0 M.
    assert not dict(RAFTSmall().named_buffers())


def test_names_without_the_prefix_of_many_gpus_are_read_too(untrained: Path) -> None:
    bare = untrained.with_name("bare.pth")
    state = load_raft_small(untrained).state_dict()
    torch.save(collections.OrderedDict(state), bare)
    assert all(torch.equal(state[k], t) for k, t in load_raft_small(bare).state_dict().items())


def test_missing_weights_are_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.pth", tmp_path):
        with pytest.raises(UsageError, match=f"there are no weights {path}; is the path right"):
            raft_small(path)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def test_weights_that_could_run_code_are_refused_unopened(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    state = {**RAFTSmall().state_dict(), "extra": Trap(canary)}
    files = []
    for protocol in range(6):
        files.append(tmp_path / f"protocol{protocol}.pth")
        files[-1].write_bytes(pickle.dumps({"w": Trap(canary)}, protocol=protocol))
    for archive in (True, False):
        files.append(tmp_path / f"torch{archive}.pth")
        torch.save(state, files[-1], _use_new_zipfile_serialization=archive)
    for path in files:
        with pytest.raises(RefusedError, match="could run code when opened") as error:
            raft_small(path)
        assert error.value.exit_code == 4
        assert str(path) in str(error.value)
    assert not canary.exists()


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("archive", [True, False])
def test_shortened_weights_are_damaged(
    untrained: Path, tmp_path: Path, share: float, archive: bool
) -> None:
    path = tmp_path / "short.pth"
    state = load_raft_small(untrained).state_dict()
    torch.save(state, path, _use_new_zipfile_serialization=archive)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises((CheckpointError, RefusedError), match=r"short\.pth"):
        raft_small(path)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text("(cos\nS'x\\tR.IFVL01%}", max_size=60).map(str.encode))
def test_any_bytes_are_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pth"
    path.write_bytes(data)
    with pytest.raises((CheckpointError, RefusedError), match=r"any\.pth"):
        load_raft_small(path)


def test_other_tensors_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    state = RAFTSmall().state_dict()
    lacking = {k: t for k, t in state.items() if k != "cnet.conv2.bias"}
    kernel = "update_block.gru.convz.weight"
    cases = [
        ([torch.ones(1)], "it has no named tensors"),
        ({0: torch.ones(1)}, "it has no named tensors"),
        ({}, "it lacks fnet.conv1.weight"),
        (lacking, "it lacks cnet.conv2.bias"),
        ({**state, "mask.0.weight": torch.ones(1)}, "it has mask.0.weight too"),
        (
            {**state, kernel: torch.ones(96, 384, 1, 5)},
            rf"{kernel} is \(96, 384, 1, 5\) where it has \(96, 242, 3, 3\)",
        ),
        ({**state, kernel: state[kernel].half()}, f"{kernel} is no plain tensor of 32 bit"),
        ({**state, kernel: 3}, f"{kernel} is no plain tensor of 32 bit"),
    ]
    for contents, message in cases:
        torch.save(contents, path)
        with pytest.raises(CheckpointError, match=message) as error:
            raft_small(path)
        assert f"{path} does not hold the weights of RAFT-small" in str(error.value)
        assert error.value.exit_code == 1
