import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from marey.cli import main


def refused(*words: str | Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", *map(str, words)])
    assert caught.value.code == 2


def test_other_computers_need_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "films.example"):
        refused("--host", host)
        assert "--token-file" in capsys.readouterr().err


@pytest.mark.parametrize("token", ["", "short", "two words of a token", "t\xf6ken" * 5])
def test_a_token_is_long_and_plain(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    refused("--token-file", tmp_path / "token")
    assert "16" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--workers", "0"), ("--port", "70000")])
def test_numbers_are_checked(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(option, value)
    assert option in capsys.readouterr().err


class Served:
    """A server of its own process."""

    def __init__(self, checkpoint: Path, state: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.words = [sys.executable, "-m", "marey", "serve", "--port", str(self.port)]
        self.words += ["--model", str(checkpoint), "--state", str(state), "--workers", "1"]
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.words, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                self.client.get("/livez")
            except httpx2.TransportError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError("the server did not start")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(90)


@pytest.fixture
def served(checkpoint: Path, tmp_path: Path) -> Iterator[Served]:
    served = Served(checkpoint, tmp_path / "state")
    yield served
    served.process.kill()
    served.process.wait()
    served.client.close()


@pytest.mark.slow
def test_jobs_go_on_after_kill_9_and_sigterm_ends_with_0(
    served: Served, clip: Path, tmp_path: Path
) -> None:
    accepted = []
    for _ in range(3):
        for _ in range(2):
            answer = served.client.post("/v1/jobs", content=clip.read_bytes())
            assert answer.status_code == 202
            accepted.append(answer.json()["id"])
        served.end(signal.SIGKILL)
        served.start()
    for job_id in accepted:
        told = served.client.get(f"/v1/jobs/{job_id}/events").text
        assert '"status": "done"' in told
    assert served.end(signal.SIGTERM) == 0
    assert not (tmp_path / "state" / "uploads").exists()
