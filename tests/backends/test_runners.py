"""Other runtimes answer as PyTorch does, and know what the network wants."""

import os
from pathlib import Path

import onnx
import openvino
import pytest
import torch
from telling_networks import telling_apart

from marey.backends import (
    ExportedRunner,
    OnnxRunner,
    OpenVINORunner,
    facts_of,
    graph_facts,
    onnx_graph,
    openvino_network,
    read_exported,
    read_graph,
    runner_of,
    usual_backend,
    write_ir,
)
from marey.errors import CheckpointError, RefusedError, UsageError
from marey.models import OFF, for_inference, tsn_bn_inception


def by_onnx(graph: onnx.ModelProto) -> OnnxRunner:
    return OnnxRunner(graph, threads=1)


def by_openvino(graph: onnx.ModelProto) -> OpenVINORunner:
    return OpenVINORunner(openvino_network(graph), graph_facts(graph), threads=1)


@pytest.mark.parametrize("runner", [by_onnx, by_openvino])
@pytest.mark.parametrize(("videos", "snippets"), [(1, 2), (3, 4), (2, 9)])
def test_logits_are_those_of_pytorch_for_any_number_of_videos_and_snippets(
    network: OFF, graph: onnx.ModelProto, runner, videos: int, snippets: int
) -> None:
    clips = torch.randn(videos, snippets, 3, 64, 64)
    with torch.inference_mode():
        expected = for_inference(network)(clips)
    answer = runner(graph)(clips)
    assert answer.keys() == expected.keys()
    torch.testing.assert_close(answer, expected, rtol=1e-3, atol=1e-4)
    # It would not be seen whether logits are right if they all were the same.
    assert all(float(logits.std()) > 0.1 for logits in expected.values())


@pytest.mark.parametrize("runner", [by_onnx, by_openvino])
def test_an_answer_stays_when_the_next_one_comes(graph: onnx.ModelProto, runner) -> None:
    run = runner(graph)
    first = run(torch.randn(1, 3, 3, 64, 64))
    kept = {head: logits.clone() for head, logits in first.items()}
    run(torch.randn(1, 3, 3, 64, 64))
    torch.testing.assert_close(first, kept, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("runner", [by_onnx, by_openvino])
def test_differences_of_frames_are_taken_inside_the_graph(runner) -> None:
    model = tsn_bn_inception(num_classes=4, modality="rgbdiff")
    telling_apart(model)
    clips = torch.randn(2, 3, 18, 224, 224)
    with torch.inference_mode():
        expected = for_inference(model)(clips)
    torch.testing.assert_close(runner(onnx_graph(model))(clips), expected, rtol=1e-3, atol=1e-4)


def test_floats_of_16_bits_are_near_or_refused(network: OFF, graph: onnx.ModelProto) -> None:
    clips = torch.randn(2, 4, 3, 64, 64)
    expected = by_openvino(graph)(clips)

    def with_16_bits() -> OpenVINORunner:
        made = openvino_network(graph)
        return OpenVINORunner(made, graph_facts(graph), threads=1, floats="bf16")

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(UsageError, match="no units for 16-bit floats"):
            with_16_bits()
        return
    runner = with_16_bits()
    assert runner.facts.precision == "bfloat16"
    for head, logits in runner(clips).items():
        apart = (logits - expected[head]).abs().max() / expected[head].abs().max()
        assert 0 < apart < 0.1


def test_a_graph_says_what_the_network_is(network: OFF, graph: onnx.ModelProto) -> None:
    assert graph_facts(graph) == facts_of(network)
    strings = {entry.key: entry.value for entry in graph.metadata_props}
    assert strings["modality"] == "rgb"
    assert strings["classes"] == '["clap", "jump, high", "say \\"hi\\""]'
    assert strings["snippet_spacing"] == "0.125"
    onnx.checker.check_model(graph, full_check=True)


@pytest.mark.slow
def test_the_same_network_gives_the_same_bytes(network: OFF, graph: onnx.ModelProto) -> None:
    assert onnx_graph(network).SerializeToString() == graph.SerializeToString()


def test_a_file_of_either_format_is_read_back(
    network: OFF, graph: onnx.ModelProto, tmp_path: Path
) -> None:
    clips = torch.randn(1, 3, 3, 64, 64)
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    write_ir(openvino_network(graph), graph_facts(graph), tmp_path / "m.xml")
    expected = by_onnx(graph)(clips)
    runners: list[ExportedRunner] = [
        read_exported(tmp_path / "m.onnx", backend="onnx"),
        read_exported(tmp_path / "m.onnx", backend="openvino"),
        read_exported(tmp_path / "m.xml"),
    ]
    for runner in runners:
        assert runner.facts == facts_of(network)
        assert (runner.modality, runner.sees_motion) == ("rgb", True)
        torch.testing.assert_close(runner(clips), expected, rtol=1e-3, atol=1e-4)


def test_a_graph_with_weights_in_other_files_is_refused(
    graph: onnx.ModelProto, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    parted = onnx.ModelProto()
    parted.CopyFrom(graph)
    onnx.save_model(parted, path, save_as_external_data=True, location="weights.bin")
    with pytest.raises(RefusedError, match="keeps weights in other files"):
        read_graph(path)


def test_a_file_that_is_none_of_ours_is_an_error(graph: onnx.ModelProto, tmp_path: Path) -> None:
    for name in ("m.onnx", "m.xml"):
        with pytest.raises(UsageError, match="there is no"):
            read_exported(tmp_path / name)
    (tmp_path / "m.bin").write_bytes(b"")
    for name in ("m.onnx", "m.xml"):
        (tmp_path / name).write_bytes(b"neither one nor the other")
        with pytest.raises(CheckpointError, match="damaged"):
            read_exported(tmp_path / name)
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    del other.metadata_props[:]
    (tmp_path / "m.onnx").write_bytes(other.SerializeToString())
    with pytest.raises(CheckpointError, match="does not say how it wants its input"):
        read_exported(tmp_path / "m.onnx")


def test_a_runtime_is_told_by_name_or_by_the_environment(
    network: OFF, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert usual_backend() == "torch"
    monkeypatch.setenv("MAREY_BACKEND", "tensorrt")
    with pytest.raises(UsageError, match="MAREY_BACKEND must be one of torch, onnx, openvino"):
        usual_backend()
    monkeypatch.delenv("MAREY_BACKEND")
    if not torch.cuda.is_available():
        assert usual_backend() == "openvino"
    monkeypatch.setattr("marey.backends._choose.find_spec", lambda name: None)
    assert usual_backend() == "torch"
    with pytest.raises(UsageError, match="runs on the CPU"):
        runner_of(network, backend="openvino", device="cuda")
    assert isinstance(runner_of(network), OFF)


def test_exported_files_and_runtimes_must_fit(graph: onnx.ModelProto, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(UsageError, match="PyTorch cannot run"):
        read_exported(tmp_path / "m.onnx", backend="torch")
    with pytest.raises(UsageError, match="for OpenVINO alone"):
        read_exported(tmp_path / "m.xml", backend="onnx")


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_a_network_of_one_thread_is_not_tied_to_a_core_that_another_process_has(
    graph: onnx.ModelProto,
) -> None:
    compiled = by_openvino(graph)._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
