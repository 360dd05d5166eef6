"""`marey export`, and exported files in place of checkpoints."""

import json
from importlib.resources import files
from pathlib import Path

import onnx
import pytest
from films import Run

from marey.cli import main
from marey.exporting import _export
from marey.models import OFF, save_checkpoint

CLIPS = Path(str(files("marey") / "clips"))


@pytest.fixture(scope="module")
def telling_checkpoint(telling_network: OFF, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "telling.safetensors"
    save_checkpoint(
        telling_network, path, classes=telling_network.classes, fusion=telling_network.fusion
    )
    return path


@pytest.fixture(scope="module")
def exported(
    telling_checkpoint: Path, telling_graph: onnx.ModelProto, tmp_path_factory
) -> dict[str, Path]:
    """Both formats, from the one graph that takes seconds to make."""
    folder = tmp_path_factory.mktemp("exported")
    paths = {"onnx": folder / "m.onnx", "openvino": folder / "m.xml"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_export, "onnx_graph", lambda model: telling_graph)
        for path in paths.values():
            with pytest.raises(SystemExit) as left:
                main(["export", str(telling_checkpoint), "--out", str(path), "--quiet"])
            assert left.value.code == 0
    return paths


def test_what_was_written_is_printed(
    run: Run,
    telling_checkpoint: Path,
    telling_graph: onnx.ModelProto,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_export, "onnx_graph", lambda model: telling_graph)
    monkeypatch.chdir(tmp_path)
    assert run("export", telling_checkpoint, "--videos", CLIPS / "golf.avi") == 0
    said = capsys.readouterr()
    assert said.out.startswith("telling.onnx  ")
    assert "differ from PyTorch's by" in said.out
    assert "checking the answers to 1 videos" in said.err
    assert (tmp_path / "telling.onnx").exists()
    assert run("export", telling_checkpoint, "--format", "openvino", "--json", "--quiet") == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert said.err == ""
    assert set(document["files"]) == {"telling.xml", "telling.bin"}
    assert document["largest_difference"] <= 1e-4
    assert document["metadata"]["modality"] == "rgb"


def test_an_exported_network_predicts_as_its_checkpoint_does(
    run: Run,
    telling_checkpoint: Path,
    exported: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def answer(model: Path, *words: str) -> dict[str, float]:
        assert run("predict", CLIPS / "golf.avi", "--model", model, "--json", *words) == 0
        document = json.loads(capsys.readouterr().out)
        return {row["label"]: row["probability"] for row in document["predictions"]}

    expected = answer(telling_checkpoint)
    assert answer(exported["onnx"], "--backend", "onnx") == pytest.approx(expected, abs=2e-6)
    assert answer(exported["onnx"], "--backend", "openvino") == pytest.approx(expected, abs=2e-6)
    assert answer(exported["openvino"]) == pytest.approx(expected, abs=2e-6)


def test_an_exported_network_is_tested_as_its_checkpoint_is(
    run: Run,
    telling_checkpoint: Path,
    exported: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    index = tmp_path / "index.csv"
    rows = [f"{path},clap,test" for path in sorted(CLIPS.glob("*.avi"))]
    head = '# classes: clap,"jump, high","say ""hi"""'
    index.write_text("\n".join([head, "path,label,split", *rows]) + "\n")
    figures = []
    for number, model in enumerate([telling_checkpoint, exported["openvino"]]):
        out = tmp_path / f"{number}.npz"
        assert run("test", model, index, "--out", out, "--crops", "1", "--json", "--quiet") == 0
        figures.append(json.loads(capsys.readouterr().out))
    ours, theirs = figures
    assert ours["heads"] == theirs["heads"]
    assert (theirs["model"], theirs["precision"]) == ("off_efficientnet_lite0", "float32")


def test_words_that_do_not_fit_are_explained(
    run: Run,
    telling_checkpoint: Path,
    exported: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cases = [
        (["export", telling_checkpoint, "--out", "m.pb"], "--out is an .onnx file"),
        (
            ["export", telling_checkpoint, "--out", "m.xml", "--format", "onnx"],
            "--format onnx writes .onnx files, got 'm.xml'",
        ),
        (["export", telling_checkpoint, "--int8"], "--int8 needs real videos"),
        (["export", telling_checkpoint, "--index", "i.csv"], "--index is for --int8"),
        (["export", tmp_path / "none.safetensors"], "there is no such file"),
        (
            ["predict", CLIPS / "golf.avi", "-m", exported["onnx"], "--maps", tmp_path / "maps"],
            "is an exported network",
        ),
        (
            ["predict", CLIPS / "golf.avi", "-m", exported["onnx"], "--backend", "torch"],
            "PyTorch cannot run",
        ),
        (
            ["predict", CLIPS / "golf.avi", "-m", tmp_path / "none.onnx"],
            "there is no network",
        ),
    ]
    for words, message in cases:
        assert run(*words) == 2, words
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_cannot_be_checked_on_leaves_no_file(
    run: Run,
    telling_checkpoint: Path,
    telling_graph: onnx.ModelProto,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_export, "onnx_graph", lambda model: telling_graph)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    out = tmp_path / "m.onnx"
    words = ["--videos", tmp_path / "broken.mp4", "--out", out]
    assert run("export", telling_checkpoint, *words) == 1
    assert "broken.mp4" in capsys.readouterr().err
    assert not out.exists()
