"""`marey serve`."""

import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from marey.errors import UsageError

from .predict import DEFAULT_MODEL

_LEAST_TOKEN = 16


def serve(
    *,
    model: Annotated[str, Parameter(alias="-m")] = DEFAULT_MODEL,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Path | None = None,
    state: Path | None = None,
    max_bytes: int = 256 << 20,
    max_seconds: float = 600.0,
    max_pixels: int = 3840 * 2160,
    queue: int = 32,
    deadline: float = 60.0,
    keep: float = 24.0,
    workers: int | None = None,
) -> None:
    """Serve a web page and an HTTP service that recognise actions in videos.

    Example: `marey serve`, and open http://127.0.0.1:8000 in a browser

    Videos are decoded in processes of their own. SIGTERM finishes what runs and ends with 0;
    jobs that were accepted go on when the server is started again, after kill -9 too.

    Args:
        model: A bundled network (see `marey models`) or a checkpoint file.
        host: Address to listen at. Any but this computer's own needs a token.
        port: Port to listen at.
        token_file: File with a token that clients must show, of 16 characters or more.
        state: Folder for jobs and uploads; marey/serve in the user's state folder unless given.
        max_bytes: Bytes of an upload.
        max_seconds: Seconds of a video.
        max_pixels: Pixels of a frame.
        queue: Videos that wait or are looked at; more are answered 503.
        deadline: Seconds until an answer is given up with 504; a job may run ten times as long.
        keep: Hours after which a job and its files are erased.
        workers: Processes that answer; two, or one where there is one core, unless given. One
            more does jobs.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be at least 1, got {workers}")
    if not 0 < port < 65536:
        raise UsageError(f"--port must be from 1 to 65535, got {port}")
    token = None if token_file is None else _token(token_file)
    if token is None and not _is_loopback(host):
        raise UsageError(
            f"--host {host} can be reached from other computers, so clients must show a token; "
            "name a file that holds one with --token-file"
        )
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise UsageError("marey serve needs a web server: pip install 'marey[serve]'") from None
    from marey.models import load_named
    from marey.serving import Limits, Service
    from marey.serving import serve as run
    from marey.streaming import Segmenter

    limits = Limits(
        bytes=max_bytes,
        seconds=max_seconds,
        pixels=max_pixels,
        queue=queue,
        deadline=deadline,
        keep=keep,
    )
    cores = os.cpu_count() or 1
    count = workers or min(cores, 2)
    Segmenter(model)  # Raises what is wrong with it before a port is opened.
    service = Service(
        model,
        name=_name(model),
        classes=load_named(model).classes,
        state=state or _state_folder(),
        limits=limits,
        workers=count,
        threads=max(cores // count, 1),
        token=token,
    )
    print(f"marey: serving at http://{_in_url(host)}:{port}; Ctrl-C ends", file=sys.stderr)
    run(service, host=host, port=port)


def _token(path: Path) -> str:
    token = path.read_text(encoding="utf-8").strip()
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"{path} must hold a token of at least {_LEAST_TOKEN} plain characters without "
            "spaces, such as `openssl rand -hex 32` makes"
        )
    return token


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _name(model: str) -> str:
    path = Path(model)
    return path.stem if path.suffix == ".safetensors" else path.name


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _state_folder() -> Path:
    given = os.environ.get("XDG_STATE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "state"
    return base / "marey" / "serve"
