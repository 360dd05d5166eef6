"""Videos are sent, never fetched: whatever a request says, the server asks nobody."""

import json
import socket
from collections.abc import Iterator

import pytest
from services import over
from starlette.testclient import TestClient


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of our own that would see who asks it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def spellings(port: int) -> list[str]:
    hosts = ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "0", "[::ffff:7f00:1]"]
    kinds = ["http", "https", "rtsp", "rtmp", "tcp", "udp", "gopher", "ftp"]
    plain = [f"http://{host}:{port}/clip.mp4" for host in hosts]
    odd = [f"http://evil.example\\@127.0.0.1:{port}/", f"concat:http://127.0.0.1:{port}/a"]
    return [*plain, *(f"{kind}://127.0.0.1:{port}/clip.mp4" for kind in kinds), *odd]


def bodies(url: str) -> list[tuple[dict[str, str], bytes]]:
    form = {"content-type": "multipart/form-data; boundary=b"}
    field = '--b\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n{}\r\n--b--\r\n'
    named = f'; filename="{url}"'
    return [
        ({"content-type": "application/json"}, json.dumps({"url": url}).encode()),
        ({"content-type": "application/x-www-form-urlencoded"}, f"url={url}".encode()),
        (form, field.format("url", "", url).encode()),
        (form, field.format("video", "", url).encode()),
        (form, field.format("video", named, "no video").encode()),
        ({}, url.encode()),
        ({}, f"#EXTM3U\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n".encode()),
        ({}, f"ffconcat version 1.0\nfile '{url}'\n".encode()),
        ({}, f"[playlist]\nFile1={url}\n".encode()),
        (
            {},
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 9 RTP/AVP 96",
        ),
    ]


def test_no_address_in_a_request_is_asked(client: TestClient, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    for url in spellings(port):
        for headers, body in bodies(url):
            asked = {"url": url, "name": url}
            answer = client.post("/v1/predict", params=asked, headers=headers, content=body)
            assert answer.status_code in (400, 415, 422), (headers, body)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_no_address_in_a_job_is_asked(client: TestClient, listener: socket.socket) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/clip.mp4"
    answers = [
        client.post("/v1/jobs", headers=headers, content=body) for headers, body in bodies(url)
    ]
    assert {answer.status_code for answer in answers} == {202, 400, 415}
    for answer in answers:
        if answer.status_code == 202:
            assert over(client, answer.json()["id"])["status"] == "failed"
            client.delete(answer.headers["location"])
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_json_is_told_to_send_the_video_itself(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json={"url": "http://films.example/a.mp4"})
    assert answer.status_code == 415
    assert "never fetched" in answer.json()["error"]["message"]
