import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from telling_networks import telling_apart

import marey.backends
import marey.predictor
from marey.backends import Runner
from marey.bench import Gain, Machine
from marey.cli import main
from marey.models import OFF, TSN, Network, for_inference, off_efficientnet_lite0, save_checkpoint
from marey.video import write_video

QUICK = ("--snippets", "2", "--seconds", "0.001", "--threads", "1")
LITE = ("--network", "efficientnet_lite0")
STAGES = ["decode", "preprocess", "backbone", "OFF", "predict"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    frames = np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), dtype=np.uint8)
    write_video(tmp_path / "clip.mp4", frames)
    return tmp_path / "clip.mp4"


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that sees so little that it takes no time."""
    torch.manual_seed(0)
    network = off_efficientnet_lite0(num_classes=3)
    telling_apart(network)
    network.preprocessing = replace(network.preprocessing, size=32, short_side=40)
    path = tmp_path_factory.mktemp("bench") / "small.safetensors"
    save_checkpoint(network, path, classes=["clap", "jump", "run"])
    return path


@pytest.fixture(autouse=True)
def _quick_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in for the measurement of peak and bandwidth, which takes half a gigabyte."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(
        "marey.bench.measure_machine",
        lambda *, seconds: Machine(
            threads=torch.get_num_threads(), gemm=5e11, flops=1e12, bandwidth=1e11
        ),
    )
    yield
    torch.set_num_threads(threads)


def run(*words: str | Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert caught.value.code == 0


def refused(*words: str | Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    assert caught.value.code == 2


def test_the_table_has_a_line_for_each_stage(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("bench", clip, *LITE, *QUICK)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"off_efficientnet_lite0, untrained on {clip}"
    assert lines[1].startswith(f"backend torch {torch.__version__}; torch {torch.__version__}, ")
    assert lines[1].endswith("threads: 1")
    assert lines[2] == (
        "peak 1000.0 GFLOP/s, in a product of matrices 500.0 GFLOP/s; copy 100.0 GB/s"
    )
    head, units, *table = lines[4:]
    assert {len(line) for line in table} == {len(head)}
    assert units.split() == ["ms", "ms", "ms", "frames/s"]
    rows = [line.split() for line in table]
    assert [row[0] for row in rows] == STAGES
    assert [row[1] for row in rows] == ["5", "2", "2", "2", "2"]
    # Twice as fast beside a product of matrices, which is half as fast as the limit.
    assert [row[-1] == "-" for row in rows] == [True, True, False, False, True]
    shares = [[float(share.rstrip("%")) for share in row[-2:]] for row in rows[2:4]]
    assert all(gemm == pytest.approx(2 * share, abs=0.2) for share, gemm in shares)
    said = [f"marey: measuring {what}" for what in ["machine", *STAGES, "machine"]]
    assert err.splitlines() == said


def test_json_is_one_document(clip: Path, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("bench", clip, "--model", small, *QUICK, "--json", "-q")
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert document["video"] == str(clip)
    assert document["machine"]["gflops"] == 1000.0
    assert document["machine"]["gemm_gflops"] == 500.0
    assert document["backend"] == "torch"
    assert document["backend_version"] == str(torch.__version__)
    assert document["machine"]["threads"] == 1
    assert [stage["stage"] for stage in document["stages"]] == STAGES
    backbone = document["stages"][2]
    # Two operations for each multiply-add, at 10^12 of them a second.
    limit = 2 / (2 * backbone["multiply_adds"] / 1e12)
    assert backbone["limit_frames_per_second"] == pytest.approx(limit)
    assert backbone["share_of_gemm"] == pytest.approx(2 * backbone["share_of_limit"])
    assert document["stages"][0]["share_of_gemm"] is None


def test_a_speed_above_the_limit_is_remarked_on(
    clip: Path, small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Machine(threads=1, gemm=1e6, flops=1e6, bandwidth=1e12)
    monkeypatch.setattr("marey.bench.measure_machine", lambda *, seconds: slow)
    run("bench", clip, "--model", small, *QUICK, "-q")
    said = capsys.readouterr().err
    assert said.startswith("marey: faster than the limit: backbone, OFF, predict; the machine was")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "x", "--network", "bn_inception"), "exclude each other"),
        (("--snippets", "1"), "--snippets must be at least 2"),
        (("--threads", "0"), "--threads must be at least 1"),
        (("--seconds", "0"), "--seconds must be"),
        (("--seconds", "nan"), "--seconds must be"),
        (("--model", "no-such-model"), "no model 'no-such-model'"),
        (("--model", "exported.onnx"), "bench takes a checkpoint"),
        ((*LITE, "--compare", "--snippets", "6"), "has 5 frames, and 6 are wanted"),
    ],
)
def test_impossible_wishes_are_refused(
    clip: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused("bench", clip, *words)
    assert message in capsys.readouterr().err


def test_a_missing_video_is_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bench", str(tmp_path / "none.mp4"), *LITE, *QUICK])
    assert caught.value.code == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("marey: ")
    assert "measuring" not in err


def test_without_a_bundled_clip_a_video_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("marey.cli.bench.files", lambda package: tmp_path)
    refused("bench")
    assert "name a video" in capsys.readouterr().err


def test_the_first_bundled_clip_is_taken_unless_a_video_is_given(
    clip: Path, small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = clip.parent / "clips"
    clips.mkdir()
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    for name in ("b.avi", "a.avi"):
        write_video(clips / name, frames)
    monkeypatch.setattr("marey.cli.bench.files", lambda package: clip.parent)
    run("bench", "--model", small, *QUICK, "--json", "-q")
    assert json.loads(capsys.readouterr().out)["video"] == str(clips / "a.avi")


def test_help_loads_no_torch() -> None:
    code = "import sys, marey.cli.bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_network_stages_run_on_the_runtime_that_was_chosen(
    clip: Path, small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen: list[tuple[type[Network], str]] = []

    def instead(model: Network, *, backend: str, **others: object) -> Runner:
        chosen.append((type(model), backend))
        return for_inference(model)

    monkeypatch.setattr(marey.backends, "runner_of", instead)
    monkeypatch.setattr(marey.predictor, "runner_of", instead)
    run("bench", clip, "--model", small, "--backend", "openvino", *QUICK, "-q", "--json")
    assert chosen == [(OFF, "openvino"), (TSN, "openvino")]
    document = json.loads(capsys.readouterr().out)
    assert document["backend"] == "openvino"
    assert document["backend_version"] == version("openvino")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("more", [(), ("--compare",)], ids=["stages", "compare"])
def test_other_runtimes_are_measured(
    clip: Path, small: Path, backend: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run("bench", clip, "--model", small, "--backend", backend, *QUICK, "-q", "--json", *more)
    document = json.loads(capsys.readouterr().out)
    assert document["backend"] == backend
    if more:
        assert document["difference"] < 1e-3
    else:
        assert [stage["stage"] for stage in document["stages"]] == STAGES


def test_a_comparison_has_a_line_for_each_stage_of_each_look(
    clip: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("bench", clip, "--compare", "--model", small, *QUICK)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"{small} on {clip}"
    assert lines[1].startswith(f"backend torch {torch.__version__}; ")
    assert lines[2].startswith("both ways answer alike, to ")
    head, units, *table = lines[4:]
    assert {len(line) for line in table} == {len(head)}
    assert units.split() == ["ms", "ms"]
    looks = {look: [] for look in ["2 x 1", "2 x 10", "streaming, newest only", "streaming"]}
    for line in table:
        look = next(look for look in looks if line.startswith(f"{look} "))
        looks[look].append(line.removeprefix(look)[: 17 + 22 - len(look)].strip())
    stages = ["read 2 frames", "preprocess", "network", "whole"]
    stream = ["read+preprocess", "network", "whole"]
    assert list(looks.values()) == [stages, stages, stream, stream]
    assert err.splitlines() == [
        f"marey: measuring {look}" for look in ["2 x 1", "2 x 10", "streaming"]
    ]


class Stub:
    """Stands in for a comparison, which takes seconds."""

    difference = 2e-6
    networks: ClassVar[list[Network]] = []

    def __init__(self, video: Path, *, network: Network, **others: object) -> None:
        self.networks.append(network)

    def gains(self, **others: object) -> list[Gain]:
        return [Gain(look="25 x 1", stage="whole", original=(3.0, 4.0, 8.0), ours=(1.0, 1.0, 2.0))]


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[Network]:
    """Return the networks that are compared."""
    monkeypatch.setattr(Stub, "networks", [])
    monkeypatch.setattr("marey.bench.Comparison", Stub)
    return Stub.networks


@pytest.mark.usefixtures("compared")
def test_a_comparison_is_one_document_too(
    clip: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("bench", clip, "--compare", "--model", small, *QUICK, "--json", "-q")
    out, err = capsys.readouterr()
    assert err == ""
    document = json.loads(out)
    assert document["difference"] == 2e-6
    [row] = document["gains"]
    assert (row["look"], row["stage"], row["turns"]) == ("25 x 1", "whole", 3)
    assert (row["original_ms"], row["ours_ms"], row["ratio"]) == (4000.0, 1000.0, 4.0)
    assert (row["lowest_ratio"], row["highest_ratio"]) == (3.0, 4.0)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ((), "off_bn_inception"),
        (LITE, "off_efficientnet_lite0"),
        (("--model", "off-lite0-jhmdb"), "off_pooled_efficientnet_lite0"),
    ],
)
def test_the_originals_network_is_compared_unless_another_is_named(
    clip: Path, words: tuple[str, ...], name: str, compared: list[Network]
) -> None:
    run("bench", clip, "--compare", *words, *QUICK, "-q")
    assert [network.name for network in compared] == [name]


def test_an_untrained_network_is_the_same_each_time(clip: Path, compared: list[Network]) -> None:
    for _ in range(2):
        run("bench", clip, "--compare", *LITE, *QUICK, "-q")
    first, second = (network.sha256 for network in compared)
    assert first == second != ""
