"""Answers that say no."""

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Refusal(Exception):  # noqa: N818 - Not an error of ours: an answer.
    """A request that is not done, with the status, a code for programs, and words for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """Return it as an answer."""
        body = {"error": {"code": self.code, "message": self.message}}
        return JSONResponse(body, self.status, headers=self.headers)


def busy(message: str) -> Refusal:
    """Return the refusal of what may be asked again in a while."""
    return Refusal(503, "busy", message, {"Retry-After": "5"})
