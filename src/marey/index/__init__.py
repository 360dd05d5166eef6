"""Which videos there are and what they show: the index, and the data sets it is made from.

Nothing here loads torch.
"""

from ._check import Report as Report
from ._check import check_index as check_index
from ._check import require_any_there as require_any_there
from ._check import require_there as require_there
from ._check import require_videos as require_videos
from ._check import same_videos as same_videos
from ._folder import prepare_folder as prepare_folder
from ._found import VIDEO_SUFFIXES as VIDEO_SUFFIXES
from ._found import Prepared as Prepared
from ._found import videos_below as videos_below
from ._hmdb51 import prepare_hmdb51 as prepare_hmdb51
from ._index import SPLITS as SPLITS
from ._index import Entry as Entry
from ._index import Index as Index
from ._index import hold_out as hold_out
from ._index_file import read_index as read_index
from ._index_file import write_index as write_index
from ._jhmdb import prepare_jhmdb as prepare_jhmdb
from ._lists import prepare_csv as prepare_csv
from ._lists import prepare_tsn_list as prepare_tsn_list
from ._problems import nearest as nearest
from ._ucf101 import prepare_ucf101 as prepare_ucf101
