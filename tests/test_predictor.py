from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import marey
from marey.data import normalise
from marey.flow import flow_estimator
from marey.models import build_model, save_checkpoint
from marey.video import write_video


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = build_model("off_efficientnet_lite0", num_classes=3)
    for level in (model.branch.level7, model.branch.level14):
        torch.nn.init.normal_(level.head.weight)
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save_checkpoint(model, path, classes=["run", "sit", "walk"], fusion={"off7": 1.0})
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)
    write_video(tmp_path / "clip.mp4", frames, fps=10.0)
    return tmp_path / "clip.mp4"


def test_a_prediction_holds_every_class_the_most_probable_first(
    checkpoint: Path, video: Path
) -> None:
    prediction = marey.Predictor(checkpoint)(video)
    assert sorted(prediction.labels) == ["run", "sit", "walk"]
    assert list(prediction.probabilities) == sorted(prediction.probabilities, reverse=True)
    assert sum(prediction.probabilities) == pytest.approx(1)
    assert (prediction.status, prediction.reason) == ("ok", "")
    assert (prediction.frames, prediction.seconds) == (5, 0.5)


def test_the_whole_video_is_one_segment_of_the_best_class(checkpoint: Path, video: Path) -> None:
    prediction = marey.Predictor(checkpoint)(str(video))
    (segment,) = prediction.segments
    assert (segment.start, segment.end) == (0.0, 0.5)
    assert segment.label == prediction.labels[0]
    assert segment.probability == prediction.probabilities[0]


def test_the_weights_of_the_heads_come_from_the_checkpoint(checkpoint: Path, video: Path) -> None:
    predictor = marey.Predictor(checkpoint)
    prediction, snippets = predictor.look(video)
    seen = normalise(snippets, predictor.facts.preprocessing, modality="rgb")
    clip = seen[..., 16:240, :]
    start = (clip.shape[-1] - 224) // 2
    with torch.inference_mode():
        heads = predictor.network(clip[None, ..., start : start + 224])
    expected = heads["off7"][0].mean(dim=0).softmax(dim=0)
    best = predictor.classes.index(prediction.labels[0])
    assert prediction.probabilities[0] == pytest.approx(float(expected[best]), abs=1e-5)


def test_a_video_that_cannot_be_used_is_an_answer_with_a_reason(
    checkpoint: Path, tmp_path: Path
) -> None:
    prediction = marey.Predictor(checkpoint)(tmp_path / "none.mp4")
    assert prediction.status == "unusable"
    assert "none.mp4" in prediction.reason
    assert (prediction.labels, prediction.segments, prediction.frames) == ((), (), 0)


def test_a_folder_of_frames_is_a_video(checkpoint: Path, video: Path, tmp_path: Path) -> None:
    import av

    folder = tmp_path / "frames"
    folder.mkdir()
    with av.open(str(video)) as film:
        for number, frame in enumerate(film.decode(video=0), start=1):
            frame.to_image().save(folder / f"img_{number:05d}.jpg")
    assert marey.Predictor(checkpoint)(folder).frames == 5


def on_flow(path: Path, method: str) -> Path:
    torch.manual_seed(0)
    model = build_model("tsn_efficientnet_lite0", num_classes=2, modality="flow")
    torch.nn.init.normal_(model.head.weight)
    model.preprocessing = replace(model.preprocessing, flow=method)
    save_checkpoint(model, path, classes=["a", "b"])
    return path


def test_a_network_on_flow_has_it_computed_by_the_method_it_learnt_from(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    estimator = flow_estimator("dis")

    def build(method: str, **options: object) -> object:
        asked.append(method)
        return estimator

    monkeypatch.setattr("marey.data._source._estimator", lambda method, threads: build(method))
    for learnt_from, flow in (("tvl1", None), ("farneback", None), ("tvl1", "dis"), ("", None)):
        predictor = marey.Predictor(on_flow(tmp_path / "m.safetensors", learnt_from), flow=flow)
        prediction = predictor(video)
        assert (prediction.status, prediction.frames) == ("ok", 5)
        assert sorted(prediction.labels) == ["a", "b"]
    assert asked == ["tvl1", "farneback", "dis", "tvl1"]


def test_a_single_frame_has_no_flow_and_is_unusable_to_a_network_on_flow(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", np.zeros((1, 48, 64, 3), np.uint8))
    predictor = marey.Predictor(on_flow(tmp_path / "m.safetensors", "dis"))
    prediction = predictor(tmp_path / "one.mp4")
    assert prediction.status == "unusable"
    assert "single frame; flow needs two" in prediction.reason


def test_flow_is_for_networks_on_flow(checkpoint: Path) -> None:
    with pytest.raises(marey.UsageError, match="looks at rgb, not at flow"):
        marey.Predictor(checkpoint, flow="dis")
