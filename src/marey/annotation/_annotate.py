"""A video with what is done in it written onto its frames. Axes: H rows, W columns."""

from collections.abc import Callable, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from marey.durable import complete_file
from marey.errors import UsageError
from marey.video import DecodePass, Pictures, Verdict, structural_damage

from ._caption import Captions
from ._container import SUFFIXES, output
from ._encoder import Encoder
from ._heat import Heat
from ._planes import planes_of
from ._sound import Sound

Says = Callable[[float], Sequence[tuple[str, float]]]
"""Gives labels and their probabilities, the most probable first, for a time in seconds."""

Overlay = Callable[[int, UInt8[np.ndarray, "H W 3"]], Float[np.ndarray, "_ _"] | None]
"""Gives the strength from 0 to 1 at each place of a frame, for its number and the upright RGB."""


def annotate(
    video: str | PathLike[str],
    out: str | PathLike[str],
    says: Says,
    *,
    overlay: Overlay | None = None,
) -> Verdict:
    """Write a video again with a caption on each frame, and return how sound the video was.

    The caption shows the first label with a bar, and the next two below it. Every frame that
    decodes is kept, with its time stamp, and so are frame rate, shape of pixels, rotation,
    range and matrix of colours, and all sound, packet by packet. Frames become H.264 with
    eight bits and colour at half the resolution; at full resolution where a side is odd, which
    some players do not show. The file appears when it is complete.

    Args:
        video: A video file.
        out: Ends in .mp4, .mkv or .mov.
        says: Asked once for each frame, in their order.
        overlay: Also asked once for each; where it answers, the strength is drawn as heat.

    Raises:
        VideoError: The video cannot be used.
        UsageError: The name of the result is impossible or the video's own, or its container
            cannot hold the video's sound.
        MareyError: The result cannot be written.
    """
    path, target = Path(video), checked_target(video, out)
    source = DecodePass(path, budget=0)
    with closing(source):
        declared = source.file.stream.frames or None
        damage = structural_damage(path, source.file.container.format.name)
        with complete_file(target.absolute()) as temporary:
            count = _write(source, path, temporary, says, overlay)
    reasons = [*filter(None, [damage]), *source.damage.reasons()]
    return Verdict(
        status="damaged" if reasons else "ok",
        reason="; ".join(reasons),
        frames=count,
        declared=declared,
    )


def checked_target(video: str | PathLike[str], out: str | PathLike[str]) -> Path:
    """Return where an annotated video goes.

    Raises:
        UsageError: The name has no ending of a video, or is the video's own.
    """
    target = Path(out)
    if target.suffix.lower() not in SUFFIXES:
        endings = ", ".join(SUFFIXES)
        raise UsageError(f"an annotated video's name ends in {endings}; got {target.name!r}")
    if target.exists() and Path(video).exists() and target.samefile(video):
        raise UsageError(f"{target} is the video itself; give the annotated one another name")
    return target


def _write(
    source: DecodePass, path: Path, temporary: Path, says: Says, overlay: Overlay | None
) -> int:
    """Write the whole file and return the number of frames."""
    count = 0
    with output(temporary) as opened:
        assert source.first is not None
        pictures = Encoder(source, opened)
        captions = Captions(pictures.canvas, pictures.aspect)
        upright = Pictures(source.first)
        heat = Heat(pictures.canvas)
        with closing(Sound(path, opened, begin=pictures.begin)) as sound:
            opened.start_encoding()
            for frame in source.frames():
                strength = None
                if overlay is not None:
                    rgb = np.empty((upright.height, upright.width, 3), np.uint8)
                    upright.write(frame, rgb)
                    strength = overlay(count, rgb)
                picture = pictures.ready(frame)
                if strength is not None:
                    heat.lay(planes_of(picture), strength)
                caption = captions.sheet(says(pictures.time(picture)))
                if caption is not None:
                    caption.lay(planes_of(picture))
                pictures.encode(picture, sound)
                count += 1
            pictures.encode(None, sound)
            sound.carry(None)
    return count
