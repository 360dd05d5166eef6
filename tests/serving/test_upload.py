import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services import film, over
from starlette.testclient import TestClient

from marey.serving._app import _PAGE
from marey.serving._upload import plain_name, receive


@pytest.fixture(scope="module")
def limit() -> int:
    """Bytes that the service of these tests takes."""
    return 1 << 20


def chunks(count: int, size: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(size)


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/jobs"])
def test_a_body_beyond_the_limit_is_413_by_its_length_and_without_one(
    client: TestClient, limit: int, path: str
) -> None:
    assert client.post(path, content=bytes(limit + 5000)).status_code == 413
    assert client.post(path, content=chunks(70_000, 16)).status_code == 413
    assert client.post(path, files={"video": ("a.mp4", bytes(limit + 1))}).status_code == 413
    told = client.post(path, content=chunks(300, 4096))
    assert told.status_code == 413
    assert told.json()["error"]["code"] == "too_long"


def test_a_header_that_tells_too_much_or_too_little_changes_nothing(
    client: TestClient, limit: int
) -> None:
    for length in ("9" * 40, str(limit * 10)):
        answer = client.post("/v1/predict", content=b"x", headers={"content-length": length})
        assert answer.status_code == 413
    answer = client.post("/v1/predict", content=bytes(limit + 1), headers={"content-length": "3"})
    assert answer.status_code == 413


def test_a_compressed_body_is_refused(client: TestClient) -> None:
    answer = client.post("/v1/predict", content=b"x", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"--b\r\n",
        b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\nx',
        b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n' * 10_000 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="video"\r\n\r\nx\r\n' * 2 + b"--b--\r\n",
        b"--b\r\n" + b"X: y\r\n" * 5000 + b"\r\nx\r\n--b--\r\n",
    ],
)
def test_a_form_without_one_video_is_refused(client: TestClient, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/predict", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("form", "cut")


@pytest.mark.parametrize("boundary", ["", "; boundary=" + "b" * 300])
def test_a_form_needs_a_boundary_of_at_most_256_bytes(client: TestClient, boundary: str) -> None:
    headers = {"content-type": "multipart/form-data" + boundary}
    assert client.post("/v1/predict", content=b"x", headers=headers).status_code == 400


def test_an_empty_video_is_refused(client: TestClient) -> None:
    assert client.post("/v1/predict", content=b"").status_code == 422
    assert client.post("/v1/jobs", files={"video": ("a.mp4", b"")}).status_code == 422


def test_a_client_that_goes_away_leaves_nothing_behind(client: TestClient, tmp_path: Path) -> None:
    from starlette.requests import Request

    from marey.serving._refusal import Refusal

    async def drop(number: int) -> None:
        messages = [{"type": "http.request", "body": b"x", "more_body": True}] * number
        coming = iter([*messages, {"type": "http.disconnect"}])

        async def come() -> dict[str, object]:
            return next(coming)

        scope = {"type": "http", "method": "POST", "headers": [], "query_string": b""}
        with pytest.raises(Refusal) as caught:
            await receive(Request(scope, come), tmp_path / str(number), 100)
        assert caught.value.code == "cut"

    for number in range(20):
        asyncio.run(drop(number))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_a_name_has_no_folder_and_nothing_unseen(name: str) -> None:
    plain = plain_name(name)
    assert 1 <= len(plain) <= 200
    assert not set(plain) & set("/\\\0\r\n\x1b\u202e")
    assert plain.encode()


@pytest.fixture(scope="module")
def finished(client: TestClient, clip: Path) -> Iterator[str]:
    """A job that is done, in whose folder lies a link that leads out of it."""
    job_id = client.post("/v1/jobs", content=clip.read_bytes()).json()["id"]
    over(client, job_id)
    office = client.app._app.router.lifespan_context.__self__.office  # type: ignore[attr-defined]
    (office.jobs.folder(job_id) / "link").symlink_to("/etc/passwd")
    yield job_id
    client.delete(f"/v1/jobs/{job_id}")


STEPS = ("..", ".", "/", "\\", "\0", "%", "%2e", "%2F", "%5c", "%252e", "\\\\host\\x", "C:", "link")
ENDS = (
    "etc/passwd",
    "ETC/PASSWD",
    "_app.py",
    "upload",
    "UPLOAD",
    "jobs.sqlite",
    "lock",
    "\uff0e\uff0e",
)


@pytest.mark.parametrize("cases", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_no_path_leads_out_of_what_is_served(client: TestClient, finished: str, cases: int) -> None:
    pages = {path.name for path in _PAGE.iterdir()}
    films = {"events", "video", "json", "csv", "srt", "vtt"}
    bases = {"/page": (_PAGE, pages), f"/v1/jobs/{finished}": (Path("/files"), films)}

    @settings(max_examples=cases, deadline=None, derandomize=True)
    @given(
        st.sampled_from(sorted(bases)),
        st.lists(st.sampled_from((*STEPS, *ENDS, *pages, *films)), max_size=6).map("".join),
        st.integers(0, 2),
    )
    def asked(base: str, path: str, times: int) -> None:
        url = path
        for _ in range(times):
            url = quote(url, safe="")
        folder, known = bases[base]
        answer = client.get(f"{base}/{quote(url, safe='%/')}", follow_redirects=False)
        if not answer.request.url.path.startswith(f"{base}/"):
            return  # The client itself went up the folders.
        if answer.status_code == 200:
            where = (folder / unquote(url)).resolve() if "\0" not in unquote(url) else Path("/")
            assert where.parent == folder.resolve()
            assert where.name in known
        else:
            assert answer.status_code == 404

    asked()


def test_folders_above_are_not_pages(client: TestClient) -> None:
    for path in ("..%2fopenapi.json", "%2e%2e/_app.py", "..%5c_app.py"):
        assert client.get(f"/page/{path}").status_code == 404


def test_a_video_that_names_another_file_does_not_bring_it_in(
    client: TestClient, tmp_path: Path
) -> None:
    canary = film(tmp_path / "canary.mp4")
    for text in (
        f"#EXTM3U\n#EXTINF:1,\nfile://{canary}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{canary}'\n",
        f"concat:{canary}",
    ):
        assert client.post("/v1/predict?name=a.avi", content=text.encode()).status_code == 422
