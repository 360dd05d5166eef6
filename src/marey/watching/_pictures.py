"""Decoded frames as small pictures."""

from av.video.frame import VideoFrame

from marey.video import Pictures


def small_pictures(first: VideoFrame, short_side: int) -> Pictures:
    """Return a converter that scales frames like the first one to a short side, in pixels.

    Scaling and changing to RGB in one go spares the pixels that nobody sees. The size is the
    one to which `marey.data.resize_short_side` would scale.
    """
    pictures = Pictures(first)
    scale = short_side / min(pictures.height, pictures.width)
    pictures.height, pictures.width = (
        max(round(length * scale), short_side) for length in (pictures.height, pictures.width)
    )
    return pictures
