import io

import numpy as np
import pytest
from PIL import Image
from services import ADDRESS
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

SOCKET = ADDRESS.replace("http", "ws")


def picture(shift: int) -> bytes:
    still = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    frame = np.roll(still.repeat(8, 0).repeat(8, 1), shift, 1)
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG")
    return buffer.getvalue()


def test_pictures_in_answers_out(client: TestClient) -> None:
    with client.websocket_connect(f"{SOCKET}/v1/stream?fps=10") as stream:
        stream.send_bytes(picture(0))
        first = stream.receive_json()
        stream.send_bytes(b"no picture")
        bad = stream.receive_json()
        stream.send_bytes(picture(4))
        last = stream.receive_json()
    assert (first["time"], last["time"]) == (0.0, 0.2)
    assert len(first["labels"]) == 3
    assert sum(last["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert bad["error"]["code"] == "frame"


def test_a_second_connection_is_told_to_try_later(client: TestClient) -> None:
    with client.websocket_connect(f"{SOCKET}/v1/stream") as first:
        first.send_bytes(picture(0))
        with (
            client.websocket_connect(f"{SOCKET}/v1/stream") as second,
            pytest.raises(WebSocketDisconnect) as caught,
        ):
            second.receive_json()
        assert caught.value.code == 1013
        assert first.receive_json()["labels"]
    with client.websocket_connect(f"{SOCKET}/v1/stream") as third:
        third.send_bytes(picture(0))
        assert third.receive_json()["labels"]


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "inf", "1e9", "fast"])
def test_a_rate_is_a_number_of_pictures_a_second(client: TestClient, fps: str) -> None:
    with (
        client.websocket_connect(f"{SOCKET}/v1/stream?fps={fps}") as stream,
        pytest.raises(WebSocketDisconnect) as caught,
    ):
        stream.receive_json()
    assert caught.value.code == 1003


@pytest.mark.parametrize("origin", ["null", "http://evil.example"])
def test_pages_of_other_addresses_open_no_stream(client: TestClient, origin: str) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(f"{SOCKET}/v1/stream", headers={"origin": origin}),
    ):
        pass


def test_the_page_itself_may(client: TestClient) -> None:
    with client.websocket_connect(f"{SOCKET}/v1/stream", headers={"origin": ADDRESS}) as stream:
        stream.send_bytes(picture(0))
        assert stream.receive_json()["labels"]
