"""Where the frames of an index's videos come from: the videos, or their flow."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from marey.errors import UsageError
from marey.flow import (
    ComputedFlow,
    Estimator,
    flow_estimator,
    making_of,
    open_flow,
    require_flow,
    stored_method,
)
from marey.index import Entry, Index
from marey.video import open_video

from ._part import WholeVideo


@runtime_checkable
class Source(Protocol):
    """Opens the videos of an index in one way."""

    def open(self, index: Index, entry: Entry) -> AbstractContextManager[WholeVideo]:
        """Return what is read from, to be closed.

        Raises:
            VideoError: It cannot be read.
        """
        ...

    def made_from(self, index: Index, entry: Entry) -> Path:
        """Return the file or folder that the frames come from."""
        ...


@dataclass(frozen=True, slots=True)
class Videos:
    """The frames of the videos themselves."""

    def open(self, index: Index, entry: Entry) -> AbstractContextManager[WholeVideo]:
        """Return the video."""
        return open_video(index.file(entry))

    def made_from(self, index: Index, entry: Entry) -> Path:
        """Return the video."""
        return index.file(entry)


@dataclass(frozen=True, slots=True)
class StoredFlow:
    """Flow that was computed before.

    Args:
        folder: What `marey flow` or TSN's tools wrote.
        method: The method that it must have been computed with; any if empty. Images of TSN's
            tools do not tell theirs, and pass.

    Raises:
        UsageError: There is no such folder, or it says that it is of another method.
    """

    folder: Path
    method: str = ""

    def __post_init__(self) -> None:
        require_flow(self.folder)
        if self.method and (stored := stored_method(self.folder)):
            self._require(stored, self.folder)

    def open(self, index: Index, entry: Entry) -> AbstractContextManager[WholeVideo]:
        """Return the flow of the video."""
        flow = open_flow(self.folder, entry.path)
        if self.method and flow.making:
            self._require(flow.making.method, flow.path)
        return flow

    def made_from(self, index: Index, entry: Entry) -> Path:
        """Return the file or folder of the flow."""
        return open_flow(self.folder, entry.path).path

    def _require(self, stored: str, path: Path) -> None:
        if stored != self.method:
            raise UsageError(
                f"{path} is flow by {stored}, but the network learnt from {self.method}; "
                "compute that, or insist with --any-flow"
            )


@dataclass(frozen=True, slots=True)
class FlowOnTheFly:
    """Flow computed when it is asked for.

    Args:
        method: As `marey flow` knows it.
        threads: Pairs at a time, for tvl1.
    """

    method: str = "dis"
    threads: int = 1

    def open(self, index: Index, entry: Entry) -> AbstractContextManager[WholeVideo]:
        """Return the flow of the video."""
        return self.of(index.file(entry))

    def of(self, video: Path) -> ComputedFlow:
        """Return the flow of a video that is in no index."""
        estimator = _estimator(self.method, self.threads)
        return ComputedFlow(open_video(video), estimator, making_of(self.method))

    def made_from(self, index: Index, entry: Entry) -> Path:
        """Return the video."""
        return index.file(entry)


def flow_source(
    *, folder: Path | None, on_the_fly: bool, learnt_from: str = ""
) -> StoredFlow | FlowOnTheFly:
    """Return where flow comes from.

    Args:
        folder: Flow that was computed before.
        on_the_fly: Compute it by DIS instead.
        learnt_from: The method whose flow a network learnt from; none is refused if empty.

    Raises:
        UsageError: Neither or both are asked for, or the network knows other flow.
    """
    if (folder is None) is not on_the_fly:
        both = folder is not None
        raise UsageError(
            "--flow and --on-the-fly exclude each other"
            if both
            else "this network looks at flow: say where it is with --flow FOLDER (`marey flow` "
            "makes it), or let it be computed with --on-the-fly"
        )
    if folder is not None:
        return StoredFlow(folder, learnt_from)
    source = FlowOnTheFly()
    if learnt_from not in ("", source.method):
        raise UsageError(
            f"the network learnt from flow by {learnt_from}, and --on-the-fly is by "
            f"{source.method}; compute {learnt_from} with `marey flow`, or insist with --any-flow"
        )
    return source


@cache
def _estimator(method: str, threads: int) -> Estimator:
    return flow_estimator(method, threads=threads)
