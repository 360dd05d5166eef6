"""`marey train FOLDER`: what it takes without being told, and what it refuses before it learns."""

import shutil
from pathlib import Path

import pytest
from films import Run, film

from marey.cli import app
from marey.cli._clips_recipe import recipe_for_clips
from marey.settings import Training


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two classes of two clips, none a copy of another."""
    names = ("sit/one.mp4", "sit/two.mp4", "walk/three.mp4", "walk/four.mp4")
    for number, name in enumerate(names):
        file = tmp_path / "clips" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        film(file, frames=4 + number)
    return tmp_path / "clips"


def settings_of(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> Training:
    monkeypatch.setattr(app, "config", (recipe_for_clips,))
    parsed = app.parse_args([*map(str, words)], exit_on_error=False, print_error=False)
    settings = parsed[1].arguments.get("settings", Training())
    assert isinstance(settings, Training)
    return settings


def test_a_folder_is_learnt_by_the_recipe_for_clips(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(monkeypatch, "train", clips, "--out", clips.parent / "out")
    assert (settings.frozen_stages, settings.hold_out) == (-1, 0.25)
    assert settings.cached_views > 0
    assert settings.optim.optimiser == "adamw"


def test_flags_override_that_recipe_wherever_the_folder_stands(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 40 epochs are the usual of an index; asked for, they count.
    settings = settings_of(monkeypatch, "train", "--epochs=40", "--seed=3", clips)
    assert (settings.epochs, settings.seed, settings.frozen_stages) == (40, 3, -1)


def test_an_index_is_learnt_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    words = ("train", tmp_path / "index.csv", "--out", tmp_path / "out", "--seed=0")
    assert settings_of(monkeypatch, *words) == Training()


@pytest.mark.parametrize(
    ("remove", "said"),
    [
        ("", "no video at <class>/<video>; make one folder per class"),
        ("walk", "a single class, 'sit'"),
        ("walk/four.mp4", "too few clips of 'walk': a class needs two or more"),
    ],
    ids=["no class folders", "one class", "a class of one clip"],
)
def test_too_little_to_learn_from_is_refused_with_what_it_takes(
    clips: Path, run: Run, capsys: pytest.CaptureFixture[str], remove: str, said: str
) -> None:
    if not remove:
        for file in sorted(clips.glob("*/*")):
            file.rename(clips / file.name)
    elif (clips / remove).is_dir():
        shutil.rmtree(clips / remove)
    else:
        (clips / remove).unlink()
    out = clips.parent / "out"
    assert run("train", clips, "--out", out, "--quiet") == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert not (out / "settings.json").exists()


def test_a_clip_that_cannot_be_used_is_named_even_if_too_few_are_left(
    clips: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "walk" / "four.mp4").write_bytes(b"not a video")
    assert run("train", clips, "--out", clips.parent / "out", "--quiet") == 2
    said = capsys.readouterr().err
    assert "unusable: walk/four.mp4: " in said
    assert "too few clips of 'walk'" in said


def test_the_folder_of_clips_is_no_place_for_the_network(
    clips: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(clips.rglob("*"))
    assert run("train", clips, "--out", clips) == 2
    assert "is where the clips are; name another folder with --out" in capsys.readouterr().err
    assert sorted(clips.rglob("*")) == before
