"""What is done in a video, written onto it and beside it: a film with labels, and subtitles."""

from ._annotate import Overlay as Overlay
from ._annotate import Says as Says
from ._annotate import annotate as annotate
from ._annotate import checked_target as checked_target
from ._subtitles import Stretch as Stretch
from ._subtitles import srt_of as srt_of
from ._subtitles import vtt_of as vtt_of
from ._table import csv_of as csv_of
