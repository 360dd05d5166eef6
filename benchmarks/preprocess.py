"""Time 25 frames on their way into ten crops, beside Pillow as TSN uses it, in one run.

    python benchmarks/preprocess.py
    python benchmarks/preprocess.py --height 1080 --width 1920 --threads 1

Both scale the frames to a short side of 256 pixels, take corners and centre, plain and mirrored,
and give normalised floats in BGR. It is checked first that these are the same but for single
grey levels where Pillow rounds otherwise. Frames are noise, which takes as long as any film.
Reading them is not timed: benchmarks/decode.py does that.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from marey.allocator import keep_freed_memory
from marey.bench import timed_in_turn
from marey.data import Preprocessing, five_boxes
from marey.evaluation import Views, clips_of, snippets_of

MEAN = (104.0, 117.0, 123.0)
PREPROCESSING = Preprocessing(colour="bgr", mean=MEAN, std=(1.0,))


class Film:
    """Frames in memory, as a video to read from."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def frames_at(self, indices: Sequence[int], /) -> np.ndarray:
        """Return the frames at `indices`."""
        return self.frames[indices]


def with_pillow(images: list[Image.Image]) -> Tensor:
    """Return 10 x K crops side by side along the channels, as TSN's chain of transforms does."""
    size, side = PREPROCESSING.size, PREPROCESSING.short_side
    width, height = images[0].size
    scale = side / min(width, height)
    wide, tall = max(round(width * scale), side), max(round(height * scale), side)
    scaled = [image.resize((wide, tall), Image.Resampling.BILINEAR) for image in images]
    crops = []
    for top, left, _, _ in five_boxes(tall, wide, size=size):
        plain = [image.crop((left, top, left + size, top + size)) for image in scaled]
        crops += plain
        crops += [crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for crop in plain]
    stacked = np.concatenate([np.asarray(crop)[:, :, ::-1] for crop in crops], axis=2)
    floats = torch.from_numpy(stacked).permute(2, 0, 1).contiguous().float()
    for number, channel in enumerate(floats):
        channel.sub_(MEAN[number % 3])
    return floats


def with_tensors(film: Film) -> Tensor:
    """Return the crops, [10, K, 3, H, W], as the package makes them for a test."""
    views = Views(snippets=len(film))
    snippets = snippets_of(film, views=views, preprocessing=PREPROCESSING, modality="rgb")
    return clips_of(snippets, crops=10, preprocessing=PREPROCESSING, modality="rgb")


def difference(theirs: Tensor, ours: Tensor) -> tuple[float, float]:
    """Return the greatest difference, in grey levels, and the share of values that differ."""
    size, frames = ours.shape[-1], ours.shape[1]
    # Pillow's crops come place by place, ours plain ones first.
    ordered = theirs.view(5, 2, frames, 3, size, size).transpose(0, 1).flatten(0, 1)
    apart = (ordered - ours).abs()
    return float(apart.max()), float((apart > 0).float().mean())


def main() -> None:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=25, help="frames of the video (25)")
    parser.add_argument("--height", type=int, default=240, help="their rows (240)")
    parser.add_argument("--width", type=int, default=320, help="their columns (320)")
    parser.add_argument("--threads", type=int, help="threads for tensors; all cores if not given")
    parser.add_argument("--repeats", type=int, default=9, help="paired runs (9)")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    shape = (arguments.frames, arguments.height, arguments.width, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    film, images = Film(frames), [Image.fromarray(frame) for frame in frames]

    apart, share = difference(with_pillow(images), with_tensors(film))
    if apart > 1:
        raise SystemExit(f"the two are {apart:g} grey levels apart; nothing to compare")
    theirs, ours = timed_in_turn(
        lambda: with_pillow(images), lambda: with_tensors(film), repeats=arguments.repeats
    )
    size = f"{arguments.width}x{arguments.height}"
    print(f"{len(frames)} frames of {size} into ten crops, {torch.get_num_threads()} threads")
    print(f"greatest difference: {apart:g} grey levels, in {share:.2%} of the values")
    print(f"medians of {ours.repeats} paired runs:")
    print(f"Pillow  {1e3 * theirs.median:8.1f} ms  (fastest {1e3 * theirs.fastest:.1f})")
    print(f"tensors {1e3 * ours.median:8.1f} ms  (fastest {1e3 * ours.fastest:.1f})")
    print(f"ratio   {theirs.median / ours.median:8.1f}")


if __name__ == "__main__":
    main()
