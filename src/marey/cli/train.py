"""`marey train`."""

import json as json_module
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from marey.errors import UsageError
from marey.settings import Training

from ._clips import train_on_clips
from ._progress import progress_bar


def train(
    index: Path,
    /,
    *,
    out: Annotated[Path, Parameter(alias="-o")] = Path("runs/latest"),
    cache: Path | None = None,
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
    settings: Annotated[Training, Parameter(name="*")] = Training(),  # noqa: B008 - frozen
) -> None:
    """Fit a network to the clips of a folder, or to the videos of an index.

    Example: `marey train my-clips --out my-model`, with a folder for each class in my-clips

    From a folder of clips comes a network that `marey predict --model my-model` takes, and a
    report. Clips are held out in turn, whole recordings at a time, and the accuracy is theirs.
    The exit code is 3 if clips could not be used; each is named.

    Example: `marey train jhmdb-split1.csv --recipe jhmdb-tsn-lite0 --out runs/tsn`

    Of an index, videos of the split `train` are learnt from; those of `val`, or a part held out
    by source video, choose the checkpoint. Stopped at any moment, the same command goes on from
    there.

    Example: `torchrun --nproc-per-node 2 -m marey train jhmdb-split1.csv --out runs/tsn`

    Processes that torchrun starts share each step, and take the same steps as one would.

    Args:
        index: Folder of class folders, or index of videos, as `marey prepare` writes it.
        out: Folder for the checkpoint, the log and what it takes to go on.
        cache: Folder for a frozen backbone's maps; several runs may share one.
        json: Print the result as JSON.
        quiet: Say nothing but errors.
        settings: The rest.
    """
    from marey.allocator import keep_freed_memory
    from marey.index import read_index
    from marey.ranks import together
    from marey.training import Progress, fit

    keep_freed_memory()
    if index.is_dir():
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError(
                f"{index}: a folder of clips is learnt in one process; for several make an index, "
                f"with `marey prepare folder {index}`"
            )
        train_on_clips(index, settings, out, cache=cache, json=json, quiet=quiet)
        return
    with together(settings.device) as ranks, progress_bar(quiet=quiet or not ranks.is_first) as bar:
        quiet = quiet or not ranks.is_first
        task = bar.add_task("training", total=None)

        def report(event: str, progress: Progress, steps: int) -> None:
            if steps:
                bar.update(task, completed=progress.step, total=steps)
            if event != "step" and not quiet:
                print(event, file=sys.stderr, flush=True)

        outcome = fit(settings, read_index(index), out, report=report, cache=cache, ranks=ranks)
    if not ranks.is_first:
        return
    seen = outcome.validation
    if json:
        result = {
            "model": str(outcome.model),
            "best_epoch": outcome.best_epoch,
            "held_out_videos": len(seen.labels),
            "held_out_accuracy": seen.accuracy,
            **seen.by_head,
        }
        print(json_module.dumps(result))
        return
    print(outcome.model)
    if not quiet:
        print(
            f"epoch {outcome.best_epoch} was best: {seen.accuracy:.1%} of {len(seen.labels)} "
            "held-out videos",
            file=sys.stderr,
        )
