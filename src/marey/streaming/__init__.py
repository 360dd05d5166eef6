"""Networks on video that does not end, or is too long to be seen at once."""

from ._evidence import Evidence as Evidence
from ._film import NONE as NONE
from ._film import Segmenter as Segmenter
from ._heat import MotionHeat as MotionHeat
from ._heat import require_motion as require_motion
from ._sight import Sight as Sight
from ._sight import Watcher as Watcher
from ._stream import Stream as Stream
