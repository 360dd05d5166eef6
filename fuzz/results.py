"""What the commands leave behind and read again: scores, flow, and lines on what was done."""

import json
from pathlib import Path

import numpy as np

from marey.evaluation import read_score_file
from marey.extraction._ledger import read_ledger
from marey.flow import FlowReader, FlowWriter, Making
from marey.report import load_run
from marey.training._gather import read_verdicts

from .lists import parts

_MAKING = Making(method="dis", parameters={}, height=16, width=16)


def scores(data: bytes, folder: Path) -> None:
    """Read a file of scores, ours or another's, compressed or not."""
    path = folder / "scores.npz"
    path.write_bytes(data)
    read_score_file(str(path))


def flow(data: bytes, folder: Path) -> None:
    """Open a file of flow and read from it."""
    path = folder / "flow.mkv"
    path.write_bytes(data)
    with FlowReader(path) as reader:
        reader.frames_at(list(reader.pairs)[:2])


def flow_words(data: bytes, folder: Path) -> None:
    """Open a file of flow whose checksums are right, whatever it says of itself."""
    try:
        about = json.loads(data)
    except (ValueError, RecursionError):
        return
    path = folder / "words.mkv"
    writer = FlowWriter(path, _MAKING, pairs=range(1), of=1, fps=25.0, source_bytes=1)
    writer._about = about
    with writer:
        writer.write(np.zeros((1, 16, 16, 2), np.uint8))
    with FlowReader(path) as reader:
        reader.frames_at(list(reader.pairs[:2]))


def ledgers(data: bytes, folder: Path) -> None:
    """Read the lines that interrupted commands leave: of flow, and of clips looked through."""
    of_flow, of_clips = parts(data, 2)
    path = folder / "ledger.jsonl"
    path.write_bytes(of_flow)
    read_ledger(path)
    path.write_bytes(of_clips)
    read_verdicts(path)


def log(data: bytes, folder: Path) -> None:
    """Read the log of a training run."""
    run = folder / "run"
    run.mkdir(exist_ok=True)
    (run / "log.jsonl").write_bytes(data)
    load_run(run)
