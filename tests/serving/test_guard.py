from hmac import compare_digest

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from marey.serving._guard import Guard
from marey.serving._metrics import Metrics

TOKEN = "correct horse battery".replace(" ", "-")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(Request(scope).url.path)(scope, receive, send)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("secret of the server")


def guarded(
    *, token: str | None = None, app: object = hello, address: str = "http://localhost:8000"
) -> TestClient:
    metrics = Metrics(dict, lambda: 0)
    return TestClient(Guard(app, token=token, metrics=metrics), base_url=address)  # type: ignore[arg-type]


def test_answers_forbid_what_the_page_does_not_need() -> None:
    headers = guarded().get("/").headers
    assert headers["content-security-policy"].startswith("default-src 'self'; media-src 'self' ")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin",
    ["null", "http://evil.example", "http://localhost:9000", "http://localhost", "http://[", ""],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_pages_of_other_addresses_change_nothing(origin: str, method: str) -> None:
    answer = guarded().request(method, "/v1/jobs", headers={"origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "origin"


def test_the_page_itself_may_change_things() -> None:
    answer = guarded().post("/v1/jobs", headers={"origin": "http://localhost:8000"})
    assert answer.status_code == 200


@pytest.mark.parametrize("address", ["http://evil.example", "http://10.0.0.1", "http://localhost."])
def test_without_a_token_no_other_name_is_answered(address: str) -> None:
    assert guarded(address=address).get("/").status_code == 421


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://[::1]:8000"])
def test_this_computer_is_answered_by_each_of_its_names(address: str) -> None:
    assert guarded(address=address).get("/v1/model").status_code == 200


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"]
)
def test_with_a_token_only_those_who_show_it_are_answered(header: str) -> None:
    asking = guarded(token=TOKEN, address="http://films.example")
    headers = {"authorization": header.encode("latin-1")}
    answer = asking.get("/v1/model", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    shown = {"authorization": f"Bearer {TOKEN}"}
    assert asking.get("/v1/model", headers=shown).status_code == 200


def test_the_token_is_compared_in_a_time_that_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []

    def compare(shown: bytes, token: bytes) -> bool:
        compared.append((shown, token))
        return compare_digest(shown, token)

    monkeypatch.setattr("marey.serving._guard.hmac.compare_digest", compare)
    asking = guarded(token=TOKEN)
    assert asking.get("/v1/model", headers={"authorization": "Bearer x"}).status_code == 401
    assert compared == [(b"x", TOKEN.encode())]


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/livez", "/readyz"])
def test_the_page_and_the_checks_need_no_token(path: str) -> None:
    assert guarded(token=TOKEN).get(path).status_code == 200


def test_what_breaks_is_told_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    answer = guarded(app=broken).get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret of the server" in capsys.readouterr().err
