"""Reading and writing videos: any frame of any file, exactly, with a word on its health."""

from marey.video._archive import holding as holding
from marey.video._archive import is_there as is_there
from marey.video._archive import open_bytes as open_bytes
from marey.video._container import VideoFile as VideoFile
from marey.video._container import VideoPacket as VideoPacket
from marey.video._container import moving_stream as moving_stream
from marey.video._container import words as words
from marey.video._decoding import DecodePass as DecodePass
from marey.video._folder import FrameFolder as FrameFolder
from marey.video._open import check_video as check_video
from marey.video._open import open_video as open_video
from marey.video._output import open_output as open_output
from marey.video._picture import Pictures as Pictures
from marey.video._picture import turn_of as turn_of
from marey.video._reader import VideoReader as VideoReader
from marey.video._structure import structural_damage as structural_damage
from marey.video._verdict import Verdict as Verdict
from marey.video._writer import write_video as write_video
