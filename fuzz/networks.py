"""Files of weights: our checkpoints, those of others, graphs, and the classes to go with them."""

import json
from pathlib import Path

import torch

from marey.backends import read_graph
from marey.errors import MareyError
from marey.importing import read_classes
from marey.importing._file import read_weights
from marey.models import load_model, load_tensors, save_tensors


def checkpoint(data: bytes, folder: Path) -> None:
    """Read the tensors of a file that may be a checkpoint."""
    path = folder / "checkpoint.safetensors"
    path.write_bytes(data)
    load_tensors(path)


def metadata(data: bytes, folder: Path) -> None:
    """Load a network from a checkpoint whose hashes are right, whatever it says of itself."""
    try:
        about = json.loads(data)
    except (ValueError, RecursionError):
        return
    path = folder / "network.safetensors"
    save_tensors(path, {"head.bias": torch.zeros(2)}, about)
    load_model(path)


def weights(data: bytes, folder: Path) -> None:
    """Read weights of Caffe, PyTorch or safetensors, whatever the bytes are."""
    path = folder / "weights.bin"
    path.write_bytes(data)
    read_weights(path)


def graph(data: bytes, folder: Path) -> None:
    """Read an exported network."""
    path = folder / "graph.onnx"
    path.write_bytes(data)
    try:
        read_graph(path)
    except MareyError as error:
        if "needs the package onnx" not in str(error):
            raise


def classes(data: bytes, folder: Path) -> None:
    """Read the names of a network's classes."""
    path = folder / "classes.txt"
    path.write_bytes(data)
    read_classes(path)
