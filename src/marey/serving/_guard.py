"""What every request passes: who may ask, what is told of it, and how answers are marked."""

import hmac
import sys
import time
import traceback
import uuid
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._metrics import Metrics
from ._refusal import Refusal

_OPEN = ("/", "/livez", "/readyz")  # The page asks for the token itself.
_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; media-src 'self' blob:; img-src 'self' data: blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Lets through what may pass, and marks, counts and logs what comes of it.

    Args:
        app: What answers.
        token: What clients must show; without one, only names of this computer are answered,
            so that no page elsewhere reaches the service through a name of its own.
        metrics: Counts.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, metrics: Metrics) -> None:
        self._app, self._token, self._metrics = app, token, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        begun = time.perf_counter()
        number = uuid.uuid4().hex
        status = 0

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = number
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/page/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refusal.response()(scope, receive, marked)
            else:
                await self._app(scope, receive, marked)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            if status == 0:
                broken = Refusal(500, "broken", "the server failed; its log says why")
                await broken.response()(scope, receive, marked)
        finally:
            seconds = time.perf_counter() - begun
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(scope["method"], route, status, seconds)
            print(  # noqa: T201 - The log.
                f"{number} {scope['method'][:10]} {ascii(scope['path'])[1:-1][:200]} {status} "
                f"{1000 * seconds:.0f} ms",
                file=sys.stderr,
                flush=True,
            )

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.message})

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._token is None and _name_of(host) not in _LOOPBACK:
            return Refusal(421, "host", "without a token, only localhost is answered")
        changes = scope["type"] == "websocket" or scope["method"] in _CHANGES
        origin = headers.get("origin")
        if changes and origin is not None and not _same(origin, host):
            return Refusal(403, "origin", "requests from pages of other addresses are refused")
        if changes and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return Refusal(403, "origin", "requests from pages of other addresses are refused")
        path = scope["path"]
        if self._token is None or path in _OPEN or path.startswith("/page/"):
            return None
        shown = token_of(headers)
        if not hmac.compare_digest(shown.encode(errors="replace"), self._token.encode()):
            return Refusal(
                401,
                "token",
                "show the token of this server: Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )
        return None


def token_of(headers: Headers) -> str:
    """Return the token that a request shows; a WebSocket in a browser shows it as a protocol."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        name, _, rest = protocol.strip().partition("bearer.")
        if not name and rest:
            return rest
    return ""


def _same(origin: str, host: str) -> bool:
    """Return whether a page's origin has the address that was asked."""
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


async def refused(request: Request, error: Exception) -> object:
    """Return a refusal that was raised, as an answer."""
    assert isinstance(error, Refusal)
    return error.response()
