"""Make the checkpoint that comes with the package from a trained one.

    python benchmarks/bundle.py runs/off-0/model.safetensors --scores runs/off-0.npz \
        --name off-lite0-jhmdb --protocol "J-HMDB split 1, 25 x 10 views"

Weights are rounded to 16 bits, and the accuracy of scores that they gave before goes along.
"""

import argparse
from pathlib import Path

from marey.evaluation import fuse_heads, load_scores, measure
from marey.models import load_model, save_checkpoint


def main() -> None:
    """Write the checkpoint and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--scores", type=Path, required=True, help="of its test videos")
    parser.add_argument("--name", required=True)
    parser.add_argument("--protocol", required=True)
    arguments = parser.parse_args()

    model = load_model(arguments.model)
    scores = load_scores(arguments.scores)
    if scores.meta["weights_sha256"] != model.sha256:
        raise SystemExit(f"{arguments.scores} are of other weights")
    figures = measure(fuse_heads(scores.heads, model.fusion), scores.labels)
    accuracy = {arguments.protocol: f"{figures.top1:.1%} top-1"}
    path = Path("src/marey/weights") / f"{arguments.name}.safetensors"
    save_checkpoint(
        model,
        path,
        classes=model.classes,
        recipe=model.recipe | {"accuracy": accuracy},
        fusion=model.fusion,
        half=True,
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {accuracy}")


if __name__ == "__main__":
    main()
