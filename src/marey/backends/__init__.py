"""What runs a network: PyTorch, ONNX Runtime or OpenVINO."""

from ._choose import EXPORTED as EXPORTED
from ._choose import Backend as Backend
from ._choose import read_exported as read_exported
from ._choose import runner_of as runner_of
from ._choose import usual_backend as usual_backend
from ._cuda import CudaRunner as CudaRunner
from ._cuda import in_bfloat16 as in_bfloat16
from ._facts import Facts as Facts
from ._facts import facts_of as facts_of
from ._graph import onnx_graph as onnx_graph
from ._maps import MapsOf as MapsOf
from ._maps import maps_runner as maps_runner
from ._metadata import describe as describe
from ._metadata import graph_facts as graph_facts
from ._onnx import OnnxRunner as OnnxRunner
from ._onnx import read_graph as read_graph
from ._openvino import OpenVINORunner as OpenVINORunner
from ._openvino import openvino_network as openvino_network
from ._openvino import read_ir as read_ir
from ._openvino import write_ir as write_ir
from ._runner import ExportedRunner as ExportedRunner
from ._runner import Runner as Runner
