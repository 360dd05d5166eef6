"""Ctrl-C stays harmless when networks come and go."""

import subprocess
import sys
from pathlib import Path

import onnx

CODE = """
import faulthandler, os, signal, sys
faulthandler.enable()
import onnx
from marey.backends import OpenVINORunner, graph_facts, openvino_network

graph = onnx.load(sys.argv[1])
facts = graph_facts(graph)
runners = [OpenVINORunner(openvino_network(graph), facts, threads=1) for _ in range(2)]
while runners:
    del runners[0]
signal.signal(signal.SIGINT, lambda number, frame: print("asked to end"))
os.kill(os.getpid(), signal.SIGINT)
"""


def test_a_signal_is_taken_after_networks_of_openvino_have_gone_the_first_one_first(
    graph: onnx.ModelProto, tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    ran = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path / "m.onnx"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "asked to end\n"
