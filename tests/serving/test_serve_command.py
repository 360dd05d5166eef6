import signal
from pathlib import Path

import pytest
from services import served

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


@pytest.mark.slow
def test_jobs_go_on_after_kill_9_and_sigterm_ends_with_0(
    checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    accepted = []
    with served(checkpoint, tmp_path / "state") as server:
        for _ in range(3):
            for _ in range(2):
                answer = server.client.post("/v1/jobs", content=clip.read_bytes())
                assert answer.status_code == 202
                accepted.append(answer.json()["id"])
            server.end(signal.SIGKILL)
            server.start()
        for job_id in accepted:
            told = server.client.get(f"/v1/jobs/{job_id}/events").text
            assert '"status": "done"' in told
        assert server.end(signal.SIGTERM) == 0
    assert not (tmp_path / "state" / "uploads").exists()
