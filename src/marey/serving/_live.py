"""A stream of pictures in, what is done out."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from marey.errors import MareyError
from marey.streaming import Stream

from ._sights import forget, ready_stream, see
from ._worker import BadTaskError, StoppedError, TooLateError, Worker

MOST_BYTES = 4 << 20
"""Bytes of one picture."""

_WAITING = 2  # Pictures that wait for the network; older ones are dropped.
_SECONDS = 10.0  # Of one picture.
_AGAIN, _UNUSABLE = 1013, 1003


class LiveStream:
    """Answers one connection at a time.

    Args:
        model: Name of a bundled network, or a checkpoint file.
        threads: CPU threads of the network.
        dropped: Called for each picture that is dropped.
    """

    def __init__(self, model: str, threads: int, dropped: Callable[[], None]) -> None:
        self._worker: Worker[Stream] = Worker(partial(ready_stream, model, threads))
        self._pool = ThreadPoolExecutor(1)
        self._taken = False
        self._dropped = dropped

    def close(self) -> None:
        """End the process."""
        self._worker.close()
        self._pool.shutdown(wait=False)

    async def serve(self, socket: WebSocket) -> None:
        """Answer a connection until it ends."""
        offered = socket.scope.get("subprotocols", [])
        protocol = "marey" if "marey" in offered else None
        await socket.accept(subprotocol=protocol)
        rate = _rate(socket.query_params.get("fps"))
        if rate is None:
            await socket.close(_UNUSABLE, "fps must be a number above 0 and at most 240")
            return
        if self._taken:
            await socket.close(_AGAIN, "another stream is watched; try again later")
            return
        self._taken = True
        try:
            await self._follow(socket, rate)
        finally:
            self._taken = False

    async def _follow(self, socket: WebSocket, rate: float) -> None:
        pictures: deque[tuple[bytes, float]] = deque(maxlen=_WAITING)
        came = asyncio.Event()
        receiving = asyncio.create_task(self._receive(socket, pictures, came, rate))
        try:
            await self._ask(forget, seconds=120.0)
            await self._answer(socket, pictures, came, receiving)
        except (StoppedError, TooLateError, MareyError):
            with suppress(RuntimeError):
                await socket.close(_AGAIN, "the work was interrupted; try again")
        except WebSocketDisconnect:
            pass
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await receiving

    async def _answer(
        self,
        socket: WebSocket,
        pictures: deque[tuple[bytes, float]],
        came: asyncio.Event,
        receiving: "asyncio.Task[None]",
    ) -> None:
        while pictures or not receiving.done():
            if not pictures:
                came.clear()
                await came.wait()
                continue
            picture, seconds = pictures.popleft()
            try:
                said = await self._ask(see, picture, seconds, seconds=_SECONDS)
            except BadTaskError as error:
                said = {"error": {"code": "frame", "message": str(error)}}
            if said is not None:
                await socket.send_json(said)

    async def _receive(
        self,
        socket: WebSocket,
        pictures: deque[tuple[bytes, float]],
        came: asyncio.Event,
        rate: float,
    ) -> None:
        """Keep the newest pictures; with a rate they are so far apart, else as they come."""
        begun = time.monotonic()
        count = 0
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                picture = message.get("bytes")
                if picture is None:
                    continue
                if len(pictures) == _WAITING:
                    self._dropped()
                pictures.append((picture, count / rate if rate else time.monotonic() - begun))
                count += 1
                came.set()
        finally:
            came.set()

    async def _ask(self, task: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        call = partial(self._worker.call, task, *arguments, seconds=seconds)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def _rate(given: str | None) -> float | None:
    """Return frames a second, 0 where none are given, and none where that is no number."""
    if given is None:
        return 0.0
    try:
        rate = float(given)
    except ValueError:
        return None
    return rate if 0 < rate <= 240 else None
