"""Networks for other programs: as ONNX or OpenVINO files, checked before they get their names."""

from ._accuracy import Accuracies as Accuracies
from ._accuracy import accuracies as accuracies
from ._clips import Clips as Clips
from ._clips import clips_of as clips_of
from ._clips import source_for as source_for
from ._export import MOST_LOST as MOST_LOST
from ._export import Exported as Exported
from ._export import export_int8 as export_int8
from ._export import export_network as export_network
from ._parity import MOST_DIFFERENT as MOST_DIFFERENT
