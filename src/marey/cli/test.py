"""`marey test`."""

import json as json_module
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from marey.errors import UsageError

from ._cluster import joined, require_cpu
from ._progress import announcer, progress_bar
from ._unusable import Told

if TYPE_CHECKING:
    from marey.cluster import Cluster
    from marey.evaluation import Elsewhere, Scores
    from marey.index import Index


def test(
    model: str,
    index: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    split: str = "test",
    snippets: int = 25,
    crops: Literal[1, 10] = 10,
    over_crops: Literal["max", "mean"] = "max",
    frames_at_once: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    backend: Literal["torch", "onnx", "openvino", "openvino-bf16"] | None = None,
    flow: Path | None = None,
    on_the_fly: bool = False,
    any_flow: bool = False,
    cluster: str | None = None,
    fetch: tuple[str, ...] = (),
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Score the videos of an index and measure accuracy.

    Example: `marey test off-lite0-jhmdb jhmdb-split1.csv --out scores.npz`

    Example: `torchrun --nproc-per-node 2 -m marey test my-model jhmdb-split1.csv`

    Stopped at any moment, the same command goes on from there. The scores are raw logits of
    each head; the figures are printed and written beside them as JSON.

    Args:
        model: A bundled network (see `marey models`), a checkpoint file, or a file that `marey
            export` wrote.
        index: Index of videos, as `marey prepare` writes it.
        out: Scores to write; `<model>-<index>.npz` right here unless given.
        split: Which videos: train, val or test. Where the index has no val, those that the
            network's training held out.
        snippets: Snippets of each video.
        crops: Crops of each snippet: the centre, or corners and centre plain and mirrored.
        over_crops: How the crops' logits become one; the original takes their maximum.
        frames_at_once: Crops in the network at once; memory grows with it. 50 on a CPU and 250
            on a GPU unless given.
        threads: CPU threads; all cores unless given.
        device: auto, cpu or cuda.
        backend: What runs the network: torch, onnx, openvino, or openvino-bf16 with 16-bit
            floats on processors for them; openvino on a CPU where it is installed, else torch,
            unless given.
        flow: Folder of flow, for a network that looks at flow.
        on_the_fly: Compute flow by DIS instead.
        any_flow: Take flow by another method than the network learnt from.
        cluster: Score on a cluster of Ray, each video on one core: HOST:PORT, auto, or local for
            one on this computer.
        fetch: Protocol of addresses, such as s3, of which a cluster may fetch videos.
        json: Print the figures as JSON.
        quiet: Show no progress.
    """
    import torch

    from marey.allocator import keep_freed_memory
    from marey.backends import EXPORTED, ExportedRunner, Runner, facts_of, read_exported, runner_of
    from marey.data import Source, Videos, flow_source
    from marey.durable import alone_in, write_text
    from marey.evaluation import Views, discard, save_scores, score_index
    from marey.flow import stored_method
    from marey.index import read_index, require_any_there
    from marey.models import load_named
    from marey.ranks import together

    keep_freed_memory()
    device = require_cpu(cluster, device)
    torch.set_num_threads(threads or torch.get_num_threads())
    with together(device) as ranks:
        if ranks.count > 1 and cluster is not None:
            raise UsageError("--cluster brings its own workers; start one process, not torchrun")
        quiet = quiet or not ranks.is_first
        recipe: dict[str, Any] = {}
        if Path(model).suffix in EXPORTED:
            exported = read_exported(Path(model), backend=backend, device=device)
            runner: Runner = exported
            facts = exported.facts
        else:
            network = load_named(model)
            facts, recipe = facts_of(network), network.recipe
            announce = announcer(quiet=quiet)
            runner = runner_of(network, backend=backend, device=device, announce=announce)
            if isinstance(runner, ExportedRunner):
                facts = runner.facts
        whole = read_index(index, classes=facts.classes)
        videos = _part(whole, split, recipe)
        if cluster is None and flow is None:
            require_any_there(videos)
        out = out or Path(f"{Path(model).stem}-{index.stem}.npz")
        unfinished = out.with_name(f"{out.name}.unfinished")
        meta = {
            "model": facts.model,
            "modality": facts.modality,
            "weights_sha256": facts.weights_sha256,
            "precision": facts.precision,
            "index_sha256": whole.fingerprint,
            "split": split,
            "fusion": dict(facts.fusion),
        }
        views = Views(snippets=snippets, crops=crops, over_crops=over_crops)
        source: Source = Videos()
        if facts.modality == "flow":
            known = "" if any_flow else facts.preprocessing.flow
            source = flow_source(folder=flow, on_the_fly=on_the_fly, learnt_from=known)
            meta["flow"] = stored_method(flow) if flow else "dis"
        elif flow or on_the_fly:
            raise UsageError(f"{model} looks at {facts.modality}, not at flow; leave flow out")
        with (
            joined(cluster, fetch=fetch) as others,
            alone_in(unfinished) if ranks.is_first else nullcontext(),
            progress_bar(quiet=quiet) as bar,
        ):
            task = bar.add_task("testing", total=len(videos.entries))
            scores, failures = score_index(
                runner,
                videos,
                views=views,
                meta=meta,
                unfinished=unfinished,
                frames_at_once=frames_at_once,
                each=lambda entry: bar.advance(task),
                source=source,
                elsewhere=_elsewhere(
                    others,
                    fetch,
                    model=model,
                    weights_sha256=facts.weights_sha256,
                    root=videos.root,
                    views=views,
                    source=source,
                    backend=backend,
                    frames_at_once=frames_at_once,
                ),
                ranks=ranks,
            )
            if not ranks.is_first:
                return
            save_scores(scores, out)
            figures = {"scores": str(out), **_figures(scores, facts.fusion)}
            write_text(out.with_suffix(".json"), json_module.dumps(figures, indent=2) + "\n")
            discard(unfinished)
    if json:
        print(json_module.dumps(figures, indent=2))
    else:
        _show(figures, quiet=quiet)
    told = Told()
    for failure in failures:
        reason = failure.reason.removeprefix(str(videos.root / failure.video)).lstrip(": ")
        told.tell("unusable", failure.video, reason)
    told.tell_rest(str(out.with_suffix(".json")))
    if failures and ranks.count == 1:  # To torchrun anything but 0 is a reason to start anew.
        sys.exit(3)


def _elsewhere(
    cluster: "Cluster | None", fetch: tuple[str, ...], **scoring: Any
) -> "Elsewhere | None":
    """Return what has a cluster score videos, if there is one."""
    if cluster is None:
        return None
    from marey.cluster import Scoring, answers

    return partial(answers, cluster=cluster, scoring=Scoring(**scoring), fetch=fetch)


def _part(whole: "Index", split: str, recipe: dict[str, Any]) -> "Index":
    """Return the videos of a split; where there is no `val`, those that training held out."""
    if split == "val" and "val" not in whole.splits and "hold_out" in recipe:
        from marey.index import hold_out

        whole = hold_out(whole, fraction=recipe["hold_out"], seed=recipe["hold_out_seed"])
    return whole.only(split)


def _figures(scores: "Scores", fusion: Mapping[str, float]) -> dict[str, Any]:
    """Return accuracies of each head and of all of them together."""
    from marey.evaluation import fuse_heads, head_weights, measure

    weights = head_weights(scores.heads, fusion)
    rows = {head: asdict(measure(logits, scores.labels)) for head, logits in scores.heads.items()}
    if len(rows) > 1:
        rows["fused"] = asdict(measure(fuse_heads(scores.heads, weights), scores.labels))
    return {"heads": rows, "weights": weights, **scores.meta}


def _show(figures: dict[str, Any], *, quiet: bool) -> None:
    print("head      top-1    top-5    mean of classes")
    for head, row in figures["heads"].items():
        print(f"{head:6} {row['top1']:8.2%} {row['top5']:8.2%} {row['mean_class']:8.2%}")
    if not quiet:
        videos = next(iter(figures["heads"].values()))["videos"]
        print(f"{videos} videos; scores in {figures['scores']}", file=sys.stderr)
