import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_files import (
    doubles,
    floats,
    floats_one_by_one,
    layer,
    layer_v1,
    net,
    number,
    old_shape_of,
    part,
    shape_of,
)
from torch import Tensor

from marey.errors import CheckpointError, MareyError
from marey.importing._caffemodel import read_caffemodel

WEIGHT, BIAS = torch.arange(24.0).reshape(2, 3, 2, 2), torch.tensor([0.5, -2.0])
NORM = [torch.full((1, 3), float(n)) for n in range(4)]
PATH = Path("net.caffemodel")


def read(*layers: bytes) -> dict[str, Tensor]:
    return read_caffemodel(PATH, net(*layers))


@pytest.mark.parametrize("make", [layer, layer_v1])
@pytest.mark.parametrize("data", [floats, floats_one_by_one, doubles])
def test_blobs_come_back_by_the_names_of_their_layers(
    make: Callable[..., bytes], data: Callable[[Any], bytes]
) -> None:
    made = [make("conv1/7x7_s2", [WEIGHT, BIAS], data=data), make("relu", [])]
    found = read(*made, make("conv1/7x7_s2_bn", NORM, data=data))
    assert list(found) == [
        "conv1/7x7_s2.weight",
        "conv1/7x7_s2.bias",
        "conv1/7x7_s2_bn.weight",
        "conv1/7x7_s2_bn.bias",
        "conv1/7x7_s2_bn.running_mean",
        "conv1/7x7_s2_bn.running_var",
    ]
    assert torch.equal(found["conv1/7x7_s2.weight"].float(), WEIGHT)
    assert torch.equal(found["conv1/7x7_s2.bias"].float(), BIAS)
    assert [int(found[f"conv1/7x7_s2_bn.{kind}"].mean()) for kind in ("bias", "running_var")] == [
        1,
        3,
    ]


def test_the_four_axes_of_old_blobs_are_their_shape() -> None:
    found = read(layer_v1("fc", [WEIGHT.reshape(8, 3), BIAS], shape=old_shape_of))
    assert found["fc.weight"].shape == (1, 1, 8, 3)
    assert found["fc.bias"].shape == (1, 1, 1, 2)


def test_what_else_a_file_holds_does_not_matter() -> None:
    gradient = part(6, np.ones(2, "<f4").tobytes())
    blob = part(7, shape_of(BIAS.shape) + floats(BIAS.numpy()) + gradient)
    found = read(part(100, part(1, b"scale") + part(10, b"") + blob + number(200, 7)), part(9, b""))
    assert torch.equal(found["scale.weight"], BIAS)


def test_layers_of_one_name_share_their_weights_or_have_none() -> None:
    found = read(layer("drop", []), layer("a", [BIAS]), layer("drop", []), layer("a", [BIAS]))
    assert found.keys() == {"a.weight"}
    with pytest.raises(CheckpointError, match="two layers are called 'a', with different weights"):
        read(layer("a", [BIAS]), layer("a", [BIAS + 1]))


def test_blobs_of_a_layer_that_nobody_knows_keep_their_numbers() -> None:
    assert read(layer("scale", [BIAS, BIAS, BIAS])).keys() == {f"scale.blob{n}" for n in range(3)}


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (shape_of((3,)) + floats(BIAS.numpy()), r"has 2 values, but says that its shape is \(3,\)"),
        (shape_of((2, 0)), r"0 values, but says that its shape is \(2, 0\)"),
        (floats(BIAS.numpy()), r"shape is \(0, 0, 0, 0\)"),
        (shape_of((1 << 40, 1 << 40)) + floats(BIAS.numpy()), "has 2 values"),
        (shape_of((1,) * 33) + floats(BIAS.numpy()), "has 33 axes"),
        (shape_of((2,)) + floats(BIAS.numpy()) + doubles(BIAS.numpy()), "its values twice"),
    ],
)
def test_a_blob_that_contradicts_itself_is_refused(blob: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"net.caffemodel is .*layer 'a'.*{message}"):
        read(part(100, part(1, b"a") + part(7, blob)))


@pytest.mark.parametrize("data", [b"", b"layer { name: 'conv1' }", bytes(100), net(layer("a", []))])
def test_a_file_without_weights_is_no_caffemodel(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"net\.caffemodel .* \.pth"):
        read_caffemodel(PATH, data)


@pytest.mark.parametrize("empty", [part(100, b""), part(100, part(7, b""))])
def test_empty_layers_claim_little_memory(empty: bytes) -> None:
    data = net(empty * 20_000)
    tracemalloc.start()
    with pytest.raises(CheckpointError):
        read_caffemodel(PATH, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * len(data)


SMALL = net(layer("conv", [WEIGHT, BIAS]), layer_v1("old", [BIAS], shape=old_shape_of))


@settings(max_examples=300, deadline=None)
@given(end=st.integers(0, len(SMALL) - 1))
def test_a_file_cut_short_is_an_error_or_lacks_its_last_layers(end: int) -> None:
    try:
        found = read_caffemodel(PATH, SMALL[:end])
    except MareyError:
        return
    assert found.keys() < {"conv.weight", "conv.bias", "old.weight"}


@settings(max_examples=300, deadline=None)
@given(
    flips=st.lists(
        st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 7)), min_size=1, max_size=4
    )
)
def test_bits_that_flip_end_in_an_error_or_in_tensors(flips: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL)
    for at, bit in flips:
        data[at] ^= 1 << bit
    try:
        found = read_caffemodel(PATH, bytes(data))
    except MareyError:
        return
    assert all(tensor.numel() <= WEIGHT.numel() for tensor in found.values())
