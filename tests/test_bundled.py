from importlib.resources import files
from pathlib import Path

import pytest

import marey

CLIPS = sorted(Path(str(files("marey") / "clips")).glob("*.avi"))


@pytest.fixture(scope="module")
def predictor() -> marey.Predictor:
    return marey.Predictor("off-lite0-jhmdb")


def test_the_bundled_network_is_small_and_tells_what_it_is() -> None:
    path = marey.bundled_models()["off-lite0-jhmdb"]
    assert path.stat().st_size <= 15_000_000
    assert path.with_suffix(".md").exists()
    model = marey.load_model(path)
    assert len(model.classes) == 21
    assert set(model.fusion) == {"tsn", "off14", "off7_energy", "off7_direction"}
    assert model.recipe["accuracy"]


@pytest.mark.parametrize("clip", CLIPS, ids=lambda path: path.stem)
def test_each_bundled_clip_is_recognised_as_what_it_is_called(
    predictor: marey.Predictor, clip: Path
) -> None:
    prediction = predictor(clip)
    assert (prediction.status, prediction.labels[0]) == ("ok", clip.stem)


def test_every_bundled_clip_is_credited() -> None:
    assert len(CLIPS) == 3
    notice = (Path(__file__).parents[1] / "NOTICE").read_text()
    assert all(clip.name in notice for clip in CLIPS)
