import json
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from marey.errors import CheckpointError, RefusedError, UsageError
from marey.models import (
    build_model,
    for_inference,
    load_model,
    load_tensors,
    save_checkpoint,
    save_tensors,
)

CLASSES = ["walk", "run", 'jump "high"']


def small_file(path: Path) -> Path:
    tensors = {"weight": torch.randn(3, 4), "bias": torch.arange(3.0), "steps": torch.tensor(7)}
    save_tensors(path, tensors, {"classes": CLASSES, "model": "tiny"})
    return path


@pytest.mark.parametrize("name", ["tsn_efficientnet_lite0", "off_efficientnet_lite0"])
def test_a_network_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    model = build_model(name, num_classes=3, modality="flow", dropout=0.7)
    path = tmp_path / "model.safetensors"
    sha256 = save_checkpoint(
        model, path, classes=CLASSES, recipe={"epochs": 3, "lr": 0.1}, fusion={"tsn": 1.5}
    )
    loaded = load_model(path)
    assert type(loaded) is type(model)
    assert not loaded.training
    assert loaded.classes == tuple(CLASSES)
    assert loaded.modality == "flow"
    assert loaded.preprocessing == model.preprocessing
    assert loaded.keywords == model.keywords
    assert loaded.fusion == {"tsn": 1.5}
    assert loaded.recipe == {"epochs": 3, "lr": 0.1}
    assert loaded.sha256 == sha256
    expected = model.state_dict()
    assert all(torch.equal(expected[name], t) for name, t in loaded.state_dict().items())
    clips = torch.randn(1, 2, 10, 64, 64)
    with torch.inference_mode():
        for head, logits in model.eval()(clips).items():
            assert torch.equal(loaded(clips)[head], logits)


def test_a_loaded_network_can_be_trained_and_saved_again(tmp_path: Path) -> None:
    path, again = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_checkpoint(build_model("tsn_efficientnet_lite0", num_classes=3), path, classes=CLASSES)
    model = load_model(path).train()
    model(torch.randn(2, 1, 3, 64, 64))["tsn"].sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    save_checkpoint(load_model(path), again, classes=CLASSES)
    assert again.read_bytes() == path.read_bytes()


def test_half_a_checkpoint_is_half_as_large_and_nearly_the_same(tmp_path: Path) -> None:
    model = build_model("tsn_efficientnet_lite0", num_classes=3)
    model.backbone.stem.bn.running_var.fill_(1e6)  # more than 16 bits can hold
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_checkpoint(model, full, classes=CLASSES)
    save_checkpoint(model, half, classes=CLASSES, half=True)
    assert half.stat().st_size < 0.55 * full.stat().st_size
    for name, tensor in load_model(half).state_dict().items():
        expected = model.state_dict()[name]
        assert tensor.dtype == expected.dtype
        torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-7)


def test_metadata_can_be_read_by_anyone(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(build_model("tsn_efficientnet_lite0", num_classes=3), path, classes=CLASSES)
    with safe_open(path, "pt") as file:
        metadata = json.loads(file.metadata()["marey"])["metadata"]
    assert metadata["model"] == "tsn_efficientnet_lite0"
    assert metadata["classes"] == CLASSES


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {
        "image": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "half": torch.randn(3).half(),
        "empty": torch.zeros(0, 2),
        "state": torch.get_rng_state(),
    }
    path = tmp_path / "state.safetensors"
    save_tensors(path, tensors, {"epoch": 3, "order": [1, 2]})
    loaded, metadata = load_tensors(path)
    assert metadata == {"epoch": 3, "order": [1, 2]}
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_metadata_that_looks_like_a_hash_is_only_text(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    odd = {"header_sha256": "0" * 64, "x": '"header_sha256":"' + "1" * 64 + '"'}
    save_tensors(path, {"x": torch.ones(1)}, odd)
    assert load_tensors(path)[1] == odd


def test_no_changed_bit_passes(tmp_path: Path) -> None:
    whole = small_file(tmp_path / "whole.safetensors").read_bytes()
    path = tmp_path / "damaged.safetensors"
    for bit in range(0, 8 * len(whole), 3):  # 3 and 8 have no common factor: every byte is hit
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"damaged\.safetensors"):
            load_tensors(path)


def test_no_shortened_or_lengthened_file_passes(tmp_path: Path) -> None:
    whole = small_file(tmp_path / "whole.safetensors").read_bytes()
    path = tmp_path / "damaged.safetensors"
    for data in [whole[:length] for length in range(len(whole))] + [whole + b"\0", whole + whole]:
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=r"damaged\.safetensors"):
            load_tensors(path)


def test_a_damaged_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(build_model("tsn_efficientnet_lite0", num_classes=3), path, classes=CLASSES)
    whole = path.read_bytes()
    dice = random.Random(0)
    for _ in range(20):
        damaged = bytearray(whole)
        damaged[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            load_model(path)


SAYS = {
    "model": "tsn_efficientnet_lite0",
    "keywords": {"num_classes": 3},
    "classes": CLASSES,
    "preprocessing": {"colour": "rgb", "mean": [127.0], "std": [128.0]},
    "fusion": {},
    "recipe": {},
}


@pytest.mark.parametrize(
    "change",
    [
        {"model": 3},
        {"model": "tsn_unheard_of"},
        {"keywords": [3]},
        {"keywords": {"num_classes": 10**12}},
        {"keywords": {}},
        {"classes": "abc"},
        {"classes": [1, 2, 3]},
        {"preprocessing": ["rgb"]},
        {"preprocessing": {"colour": "rgb", "mean": "127", "std": [128.0]}},
        {"preprocessing": {"colour": "grey", "mean": [127.0], "std": [128.0]}},
        {"preprocessing": {"colour": "rgb", "mean": [127.0], "std": [128.0], "pace": 0}},
        {"preprocessing": {"colour": "rgb", "mean": [127.0], "std": [128.0], "flow": 1}},
        {"fusion": ["tsn"]},
        {"fusion": {"tsn": "much"}},
        {"recipe": None},
    ],
)
def test_a_file_that_says_something_else_than_a_checkpoint_is_refused(
    change: dict[str, Any], tmp_path: Path
) -> None:
    """No network is built first, which could be larger than the memory."""
    path = tmp_path / "model.safetensors"
    save_tensors(path, {"weight": torch.zeros(1)}, SAYS | change)
    with pytest.raises(CheckpointError, match=r"model\.safetensors does not fit"):
        load_model(path)


def test_metadata_nested_too_deep_are_damage(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "model.safetensors"
    plain = json.dumps
    monkeypatch.setattr(
        json, "dumps", lambda value, **how: plain(value, **how).replace('"deep"', "[" * 100_000)
    )
    save_tensors(path, {"weight": torch.zeros(1)}, {"a": "deep"})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="damaged"):
        load_tensors(path)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def malicious_files(folder: Path, canary: Path) -> list[Path]:
    files = []
    for protocol in range(6):
        files.append(folder / f"protocol{protocol}.safetensors")
        files[-1].write_bytes(pickle.dumps({"w": Trap(canary)}, protocol=protocol))
    for archive in (True, False):
        files.append(folder / f"torch{archive}.pth")
        torch.save({"w": Trap(canary)}, files[-1], _use_new_zipfile_serialization=archive)
    files.append(folder / "plain.zip")
    with zipfile.ZipFile(files[-1], "w") as file:
        file.writestr("data.pkl", pickle.dumps(Trap(canary)))
    return files


def test_pickles_are_refused_unopened(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for path in malicious_files(tmp_path, canary):
        with pytest.raises(RefusedError, match="marey import") as error:
            load_model(path)
        assert error.value.exit_code == 4
        assert path.name in str(error.value)
    assert not canary.exists()


@pytest.mark.parametrize("data", [b"", b"{}", b"hello, world", bytes(5000), b"\xff" * 100])
def test_other_files_are_no_checkpoints(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.bin"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"other\.bin is not a checkpoint"):
        load_model(path)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400) | st.text("(cos\nS'x\\tR.IFVL01%}", max_size=60).map(str.encode))
def test_any_bytes_are_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(data)
    with pytest.raises((CheckpointError, RefusedError), match=r"any\.bin"):
        load_tensors(path)


def test_a_foreign_safetensors_file_is_no_checkpoint(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "foreign.safetensors"
    save_file({"x": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of marey"):
        load_model(path)
    save_tensors(path, {"x": torch.ones(1)}, {"epoch": 1})
    with pytest.raises(CheckpointError, match="does not fit the network that it names"):
        load_model(path)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no checkpoint"):
        load_model(tmp_path / "nowhere.safetensors")


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = build_model("tsn_efficientnet_lite0", num_classes=3)
    with pytest.raises(UsageError, match="tells 3 classes apart, got 2 different names"):
        save_checkpoint(model, path, classes=["a", "b"])
    with pytest.raises(UsageError, match="got 2 different names among 3"):
        save_checkpoint(model, path, classes=["a", "b", "a"])
    with pytest.raises(UsageError, match="for_inference"):
        save_checkpoint(for_inference(model), path, classes=CLASSES)
    model.name = ""
    with pytest.raises(UsageError, match="only a network from build_model"):
        save_checkpoint(model, path, classes=CLASSES)
    assert not path.exists()


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    first = small_file(tmp_path / "first.safetensors").read_bytes()
    torch.manual_seed(0)
    second = small_file(tmp_path / "second.safetensors").read_bytes()
    assert first == second
