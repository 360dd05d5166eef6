"""How fast each stage from a video to its classes is, and how fast this machine could be.

A stage's limit is its operations over the machine's peak and its bytes over the machine's
bandwidth, and peak and bandwidth are measured, not looked up. Operations are the multiply-adds
of the convolutions and linear layers of the network as it is defined; bytes are those that no
program could leave unmoved, each stage saying which. Caches are not thought of, and convolutions
are taken to be direct ones.

`Comparison` sets it all beside the way of the original code.
"""

from ._compare import Comparison as Comparison
from ._compare import Gain as Gain
from ._machine import Machine as Machine
from ._machine import count_macs as count_macs
from ._machine import macs_of as macs_of
from ._machine import measure_machine as measure_machine
from ._stages import Stage as Stage
from ._stages import measure_stages as measure_stages
from ._timing import Timing as Timing
from ._timing import steps_in_turn as steps_in_turn
from ._timing import timed as timed
from ._timing import timed_in_turn as timed_in_turn
