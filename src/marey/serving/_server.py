"""The service on a port, until it is told to end."""

import logging
import signal
from socket import socket
from types import FrameType

import uvicorn

from ._app import Service
from ._live import MOST_BYTES

_GRACE = 60  # Seconds that running requests have after SIGTERM.


def serve(service: Service, *, host: str, port: int) -> None:
    """Answer requests until SIGTERM or SIGINT; those that run are finished.

    Raises:
        OSError: The port cannot be had.
    """
    config = uvicorn.Config(
        service.app,
        host=host,
        port=port,
        lifespan="on",
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        date_header=False,
        ws="websockets-sansio",
        ws_max_size=MOST_BYTES,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=1 << 16,
    )
    listening = config.bind_socket()
    try:
        _Server(config, service).run(sockets=[listening])
    finally:
        listening.close()


class _Server(uvicorn.Server):
    """A server that tells the service that its end is near, and does not die of the signal."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.office.draining = True
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        self._service.office.drain()
        await super().shutdown(sockets)
