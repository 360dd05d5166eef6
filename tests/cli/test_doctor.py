import json

import pytest
from films import Run

from marey import diagnosis
from marey.diagnosis import Finding

WORKS = Finding(name="decoding", works=True, needed=True, detail="40 frames")
MISSING = Finding(name="GPU", works=False, needed=False, detail="none")
BROKEN = Finding(name="torch", works=False, needed=True, detail="computes wrong")


def test_what_is_optional_may_be_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(diagnosis, "diagnose", lambda: [WORKS, MISSING])
    assert run("doctor") == 0
    assert capsys.readouterr().out == (
        "ok     decoding          40 frames\n-      GPU               none\n"
    )


def test_what_is_needed_may_not(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(diagnosis, "diagnose", lambda: [WORKS, BROKEN])
    assert run("doctor", "--quiet") == 1
    assert capsys.readouterr().out == "FAILS  torch             computes wrong\n"


def test_it_is_told_as_json(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(diagnosis, "diagnose", lambda: [WORKS, MISSING])
    assert run("doctor", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["usable"] is True
    assert document["findings"][1] == {
        "name": "GPU",
        "works": False,
        "needed": False,
        "detail": "none",
    }
