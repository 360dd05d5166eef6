"""The log of a run as TensorBoard reads it."""

import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from marey.durable import naming

_VERSION = "brain.Event:2"


class Board:
    """A new file of figures in a folder, where earlier parts of the run have theirs.

    TensorBoard's own writer has a thread, which tells of a full disk with a traceback, and late.
    This one writes at once, and what it cannot write it says to its caller.

    Args:
        folder: Made if needed.
        first: The first step to come. What earlier files say of it and later ones is not shown.
    """

    def __init__(self, folder: Path, *, first: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Files are read in the order of their names; two of a second differ by their numbers.
        stem = f"events.out.tfevents.{int(time.time()):010}.{socket.gethostname()}.{os.getpid()}"
        paths = (folder / f"{stem}.{number}" for number in itertools.count())
        self._path = next(path for path in paths if not path.exists())
        start = SessionLog(status=SessionLog.START)
        self._append(Event(file_version=_VERSION), Event(step=first, session_log=start))

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Write figures of a step, each under its name."""
        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        self._append(Event(step=step, summary=Summary(value=values)))

    def _append(self, *events: Event) -> None:
        with naming(self._path), self._path.open("ab") as file:
            records = RecordWriter(file)
            for event in events:
                event.wall_time = time.time()
                records.write(event.SerializeToString())
