import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from films import CLASSES, Run, film

from marey.models import Network, build_model, load_model


class Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.canary,)


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Network]:
    """A checkpoint of tsn-pytorch, and the network of ours that answers like it."""
    torch.manual_seed(0)
    model = build_model("tsn_bn_inception", num_classes=3).eval()
    state = {}
    for name, tensor in model.state_dict().items():
        layer, _, kind = name.rpartition(".")
        layer = layer.removeprefix("backbone.").replace(".conv", "").replace(".bn", "_bn")
        layer = "new_fc" if layer == "head" else f"base_model.{layer}"
        state[f"module.{layer}.{kind}"] = tensor
    path = tmp_path_factory.mktemp("theirs") / "tsn.pth.tar"
    torch.save({"epoch": 1, "arch": "BNInception", "state_dict": state, "best_prec1": 1.0}, path)
    return path, model


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    path = tmp_path / "classInd.txt"
    path.write_text("".join(f"{n} {name}\r\n" for n, name in enumerate(CLASSES, start=1)))
    return path


def test_a_checkpoint_comes_out_that_predicts(
    theirs: tuple[Path, Network],
    classes: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, model = theirs
    out = tmp_path / "ours.safetensors"
    words = ["import", path, "--modality", "rgb", "--classes", classes, "--out"]
    assert run(*words, out) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == str(out)
    assert printed[1] == "TSN of tsn-pytorch: tsn_bn_inception for rgb, 3 classes"
    assert any("104, 117, 128" in line for line in printed)
    loaded = load_model(out)
    assert loaded.classes == CLASSES
    assert loaded.recipe["imported_from"] == "TSN of tsn-pytorch"
    clips = torch.randn(1, 2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(clips)["tsn"], model(clips)["tsn"])
    again = tmp_path / "again.safetensors"
    assert run(*words, again, "-q") == 0
    assert capsys.readouterr().out == f"{again}\n"
    assert again.read_bytes() == out.read_bytes()
    assert run("predict", str(film_in(tmp_path)), "--model", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "ok"


def film_in(folder: Path) -> Path:
    film(folder / "film.avi")
    return folder / "film.avi"


def test_json_has_the_name_of_every_tensor(
    theirs: tuple[Path, Network],
    classes: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "ours.safetensors"
    words = ["--modality", "rgb", "--classes", classes, "--out", out, "--json"]
    assert run("import", theirs[0], *words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == str(out)
    assert report["network"] == "tsn_bn_inception"
    assert report["taken"]["module.new_fc.weight"] == "head.weight"
    assert len(report["taken"]) == 416
    assert len(report["left_out"]) == 69
    assert report["made"] == {}


def test_a_hostile_pickle_is_refused_with_4(
    classes: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, canary = tmp_path / "hostile.pth", tmp_path / "canary"
    path.write_bytes(pickle.dumps({"state_dict": Bomb(canary)}))
    out = tmp_path / "ours.safetensors"
    assert run("import", path, "--modality", "rgb", "--classes", classes, "--out", out) == 4
    assert "none of it was run" in capsys.readouterr().err
    assert not canary.exists()
    assert not out.exists()


def test_what_does_not_fit_ends_with_its_code(
    theirs: tuple[Path, Network],
    classes: Path,
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, _ = theirs
    two = tmp_path / "two.txt"
    two.write_text("run\nsit\n")
    damaged = tmp_path / "net.caffemodel"
    damaged.write_bytes(b"\n\x02ab\xa2\x06\x7fcut")
    out = tmp_path / "ours.safetensors"

    def imports(path: Path, **options: Path | str) -> int:
        given = {"modality": "rgb", "classes": classes, "out": out} | options
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        return run("import", path, *words)

    assert imports(tmp_path / "none.pth") == 2
    assert imports(path, modality="flow") == 2
    assert imports(path, modality="grey") == 2
    assert imports(path, classes=two) == 2
    assert imports(path, model="off_bninception") == 2
    assert imports(path, out=tmp_path / "ours.pth") == 2
    assert imports(path, out=tmp_path) == 2
    assert imports(out, out=out) == 2
    assert imports(damaged) == 1
    assert imports(path, model="off_bn_inception") == 1
    assert not out.exists()
    said = capsys.readouterr().err
    assert "did you mean 'off_bn_inception'" in said
    assert "tells 3 classes apart, but 2 are named" in said
