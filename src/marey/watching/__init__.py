"""Recognition of live video: cameras, streams from the network, files played in real time."""

from ._capture import Capture as Capture
from ._capture import pause_before as pause_before
from ._feed import Feed as Feed
from ._feed import Piece as Piece
from ._handover import Handover as Handover
from ._latency import Latencies as Latencies
from ._news import Back as Back
from ._news import Lost as Lost
from ._news import Seen as Seen
from ._news import Summary as Summary
from ._pace import Pace as Pace
from ._settled import Settled as Settled
from ._source import Source as Source
from ._source import source_of as source_of
from ._watch import Recogniser as Recogniser
from ._watch import Watch as Watch
