"""Flow of every video of an index, on all cores, resumable."""

from ._extract import extract as extract
from ._extract import summary as summary
from ._ledger import LEDGER as LEDGER
from ._task import Extracted as Extracted
from ._task import Extraction as Extraction
from ._task import extract_video as extract_video
