"""`marey predict`."""

import json as json_module
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from marey.errors import UsageError

from ._annotated import annotated_files, motion_of, write_annotated
from ._cluster import joined, require_cpu
from ._inputs import videos_of
from ._progress import announcer, progress_bar
from ._segments import check_files, segmented, show
from ._segments import save as write_segments

if TYPE_CHECKING:
    from marey.backends import Backend
    from marey.predictor import Prediction, Predictor
    from marey.streaming import Segmenter

DEFAULT_MODEL = "off-lite0-jhmdb"


def predict(
    *inputs: Annotated[str, Parameter(allow_leading_hyphen=False)],
    model: Annotated[str, Parameter(alias="-m")] = DEFAULT_MODEL,
    top: int = 5,
    crops: Literal[1, 10] = 1,
    maps: Path | None = None,
    annotate: Path | None = None,
    overlay: bool = False,
    segments: bool = False,
    save: tuple[Path, ...] = (),
    window: float = 1.5,
    unsure: float = 0.35,
    hold: float = 1.0,
    device: str = "auto",
    backend: Literal["torch", "onnx", "openvino", "openvino-bf16"] | None = None,
    on_the_fly: bool = False,
    any_flow: bool = False,
    cluster: str | None = None,
    fetch: tuple[str, ...] = (),
    json: bool = False,
    jsonl: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Recognise actions in videos.

    Example: `marey predict clip.mp4 films/ --top 3`

    Args:
        inputs: Videos, folders of them, lists (.txt, .csv), or - for a list on stdin.
        model: A bundled network (see `marey models`), a checkpoint file, or a file that `marey
            export` wrote.
        top: Classes to show of each video.
        crops: Look at the centre, or at ten crops, which takes ten times as long.
        maps: Folder for a picture of what OFF sees in each video.
        annotate: The video with what is done written onto it, sound and all: a name in .mp4,
            .mkv or .mov for one video, else a folder.
        overlay: Lay the motion that OFF sees over each frame of --annotate.
        segments: Say when what is done, in films of any length.
        save: Files for the segments: .json, .csv, or subtitles of one video, .srt and .vtt.
        window: Seconds of the film that are looked at for a moment of --segments or --overlay.
        unsure: Where no class is as probable as this, --segments says "none".
        hold: Seconds that something must last for --segments to believe it.
        device: auto, cpu or cuda.
        backend: What runs the network: torch, onnx, openvino, or openvino-bf16 with 16-bit
            floats on processors for them; openvino on a CPU where it is installed, else torch,
            unless given.
        on_the_fly: For a network that looks at flow, compute it by DIS, the quickest, and not
            by the method that the network learnt from.
        any_flow: Do so although the network learnt from another method.
        cluster: Look at whole videos on a cluster of Ray, each on one core: HOST:PORT, auto, or
            local for one on this computer.
        fetch: Protocol of addresses, such as s3, of which a cluster may fetch videos.
        json: Print one JSON document: an object for a single video, else a list of them.
        jsonl: Print one JSON object a line for each video, as soon as it is known.
        quiet: Show no progress.
    """
    if json and jsonl:
        raise UsageError("--json and --jsonl exclude each other")
    if top < 1:
        raise UsageError(f"--top must be at least 1, got {top}")
    if save and not segments:
        raise UsageError("--save is for --segments")
    if segments and (maps or crops != 1 or on_the_fly or backend not in (None, "torch")):
        raise UsageError(
            "--segments looks at the centre of RGB frames by PyTorch; leave --maps, --crops, "
            "--on-the-fly and --backend out"
        )
    if overlay and annotate is None:
        raise UsageError("--overlay is for --annotate")
    if cluster and (segments or maps or annotate):
        raise UsageError("--cluster is for answers alone; leave --segments, --maps, --annotate out")
    if fetch and not cluster:
        raise UsageError("--fetch is for --cluster")
    device = require_cpu(cluster, device)
    videos = videos_of(inputs)
    check_files(save, videos)
    files = [None] * len(videos) if annotate is None else annotated_files(annotate, videos)

    from marey.allocator import keep_freed_memory

    keep_freed_memory()
    heat = motion_of(model, device=device, window=window) if overlay else None
    if segments:
        segmenter = _segmenter(model, window=window, unsure=unsure, hold=hold, device=device)
        predictions = segmented(segmenter, videos, quiet=quiet)
    else:
        predictor = _predictor(
            model,
            crops=crops,
            device=device,
            backend=backend,
            method="dis" if on_the_fly else None,
            any_flow=any_flow,
            quiet=quiet,
        )
        if cluster:
            looking: dict[str, Any] = {"crops": crops, "backend": backend}
            looking |= {"flow": "dis" if on_the_fly else None}
            predictions = _elsewhere(predictor, looking, videos, cluster, fetch, quiet=quiet)
        else:
            predictions = _predictions(predictor, videos, maps, quiet=quiet)
    kept = []
    unusable = 0
    for prediction, file in zip(predictions, files, strict=True):
        unusable += prediction.status == "unusable"
        if json or save:
            kept.append(prediction)
        if jsonl:
            print(json_module.dumps(prediction.as_json(top=top)), flush=True)
        elif segments and not json:
            show(prediction)
        elif not json:
            _show(prediction, top)
        if prediction.status != "ok":
            print(f"marey: {prediction.status}: {prediction.reason}", file=sys.stderr)
        if file is not None and prediction.status != "unusable":
            alone = len(videos) == 1
            done = write_annotated(
                prediction,
                file,
                heat=heat,
                by_segments=segments,
                alone=alone,
                quiet=quiet or segments,
            )
            unusable += not done
    write_segments(save, kept, top=top)
    if json:
        documents = [prediction.as_json(top=top) for prediction in kept]
        single = len(inputs) == 1 and videos == [inputs[0]]
        print(json_module.dumps(documents[0] if single else documents, indent=2))
    if unusable:
        if not quiet:
            print(f"marey: {unusable} of {len(videos)} videos could not be used", file=sys.stderr)
        sys.exit(3)


def _predictor(
    model: str,
    *,
    crops: Literal[1, 10],
    device: str,
    backend: "Backend | None",
    method: str | None,
    any_flow: bool,
    quiet: bool,
) -> "Predictor":
    """Return what looks at whole videos."""
    from marey.evaluation import Views
    from marey.predictor import Predictor

    predictor = Predictor(
        model,
        device=device,
        backend=backend,
        views=Views(crops=crops),
        flow=method,
        announce=announcer(quiet=quiet),
    )
    learnt_from = predictor.facts.preprocessing.flow
    if method and not any_flow and learnt_from not in ("", method):
        raise UsageError(
            f"{model} learnt from flow by {learnt_from}, and --on-the-fly is by {method}; leave "
            "it out, or insist with --any-flow"
        )
    return predictor


def _segmenter(
    model: str, *, window: float, unsure: float, hold: float, device: str
) -> "Segmenter":
    """Return what looks at films of any length, and goes on where it was interrupted."""
    from marey.cache import cache_folder
    from marey.streaming import Segmenter

    unfinished = cache_folder() / "unfinished"
    return Segmenter(
        model, window=window, unsure=unsure, hold=hold, device=device, unfinished=unfinished
    )


def _predictions(
    predictor: "Predictor", videos: list[str], maps: Path | None, *, quiet: bool
) -> Iterator["Prediction"]:
    with progress_bar(quiet=quiet or len(videos) < 2) as bar:
        for video in bar.track(videos, description="predicting"):
            if maps is None:
                yield predictor(video)
                continue
            from marey.drawing import save_maps

            prediction, snippets = predictor.look(video)
            if snippets is not None:
                title = f"{Path(video).name}: {prediction.labels[0]}"
                picture = _picture(maps, video, videos)
                save_maps(predictor.network, snippets, picture, title=title)
            yield prediction


def _elsewhere(
    predictor: "Predictor",
    looking: dict[str, Any],
    videos: list[str],
    cluster: str,
    fetch: tuple[str, ...],
    *,
    quiet: bool,
) -> Iterator["Prediction"]:
    """Yield what the workers of a cluster say."""
    from marey.cluster import Looking, predictions

    weights = predictor.facts.weights_sha256
    same = Looking(model=predictor.model, weights_sha256=weights, **looking)
    with joined(cluster, fetch=fetch) as others, progress_bar(quiet=quiet) as bar:
        assert others is not None, "there is an address"
        answers = predictions(others, same, videos, fetch=fetch)
        yield from bar.track(answers, total=len(videos), description="predicting")


def _picture(maps: Path, video: str, videos: list[str]) -> Path:
    """Return where the picture of a video goes; videos of one name do not share one."""
    stem = Path(video).stem or "video"
    twins = [other for other in dict.fromkeys(videos) if Path(other).stem == Path(video).stem]
    number = twins.index(video)
    return maps / (f"{stem}.png" if number == 0 else f"{stem}-{number + 1}.png")


def _show(prediction: "Prediction", top: int) -> None:
    print(prediction.video)
    pairs = zip(prediction.labels, prediction.probabilities, strict=True)
    for label, probability in list(pairs)[:top]:
        print(f"  {probability:6.1%}  {label}")
