"""`marey predict --segments`."""

import csv
import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from films import CLASSES, Run

from marey.video import write_video

SCHEMA = json.loads((files("marey") / "prediction.schema.json").read_text())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    frames = np.random.default_rng(0).integers(0, 256, (40, 48, 64, 3), dtype=np.uint8)
    write_video(path, frames)
    return path


def test_segments_are_printed_and_written_in_every_format(
    run: Run, checkpoint: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = [tmp_path / f"out{suffix}" for suffix in (".json", ".csv", ".srt", ".vtt")]
    words = ["--unsure", "0.01", "--save", *saved]
    assert run("predict", film, "--model", checkpoint, "--segments", *words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(film)
    assert lines[1].startswith("  0:00:00.0 - ")
    assert lines[-1].split()[2] == "0:00:01.6"
    document = json.loads(saved[0].read_text())
    jsonschema.validate(document, SCHEMA)
    assert len(document["segments"]) == len(lines) - 1
    assert {segment["label"] for segment in document["segments"]} <= set(CLASSES)
    rows = list(csv.DictReader(saved[1].read_text().splitlines()))
    assert [row["label"] for row in rows] == [s["label"] for s in document["segments"]]
    assert "00:00:00,000 --> " in saved[2].read_text()
    assert saved[3].read_text().startswith("WEBVTT")


def test_what_nobody_knows_is_none_and_no_subtitle(
    run: Run, checkpoint: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--segments", "--unsure", "0.99", "--save", tmp_path / "out.srt", "--json"]
    assert run("predict", film, "--model", checkpoint, *words) == 0
    (segment,) = json.loads(capsys.readouterr().out)["segments"]
    assert (segment["start"], segment["end"], segment["label"]) == (0, 1.6, "none")
    assert (tmp_path / "out.srt").read_text() == ""


def test_a_film_that_is_none_is_named_and_the_others_are_done(
    run: Run, checkpoint: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no film")
    words = [film, tmp_path / "no.mp4", "--model", checkpoint, "--segments", "--jsonl"]
    assert run("predict", *words) == 3
    said = capsys.readouterr()
    assert [json.loads(line)["status"] for line in said.out.splitlines()] == ["ok", "unusable"]
    assert "no.mp4" in said.err


def test_words_that_do_not_fit_are_explained(
    run: Run, checkpoint: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        ([film, "--save", "x.srt"], "--save is for --segments"),
        ([film, "--segments", "--save", "x.ass"], "--save writes .json, .csv, .srt, .vtt"),
        ([film, film, "--segments", "--save", "x.srt"], "subtitles are of one video"),
        ([film, "--segments", "--crops", "10"], "--segments looks at the centre"),
        ([film, "--segments", "--window", "0"], "window must be some seconds"),
        ([film, "--segments", "--unsure", "1.5"], "between 0 and 1"),
    ]
    for words, message in cases:
        assert run("predict", *words, "--model", checkpoint) == 2, words
        assert message in capsys.readouterr().err
