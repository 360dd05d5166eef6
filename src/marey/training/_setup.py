"""From settings to the parts of a run."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from marey.data import (
    FlowOnTheFly,
    Preprocessing,
    SnippetDataset,
    Source,
    Videos,
    caffe_draws,
    flow_source,
    paced_draws,
    segment_draws,
)
from marey.errors import UsageError
from marey.flow import stored_method
from marey.index import Index, hold_out, require_there
from marey.models import (
    OFF,
    POOLED_OFF_NETWORKS,
    TSN,
    Network,
    build_model,
    load_imagenet,
    load_imagenet_for_flow,
    load_model,
    start_from_rgb,
)
from marey.settings import Training

# Settings that the result does not depend on.
WITHOUT_EFFECT = ("workers", "save_minutes")


def divide(index: Index, settings: Training) -> tuple[Index, Index]:
    """Return the videos to learn from and those that choose the checkpoint.

    Raises:
        UsageError: Videos are missing.
    """
    if "val" not in index.splits:
        index = hold_out(index, fraction=settings.hold_out, seed=settings.hold_out_seed)
    learn, held_out = index.only("train"), index.only("val")
    require_there(replace(index, entries=learn.entries + held_out.entries))
    return learn, held_out


def build_network(settings: Training, classes: tuple[str, ...]) -> Network:
    """Return the network to train, all that stays as it is frozen.

    Raises:
        UsageError: The checkpoint to start from does not fit.
    """
    torch.manual_seed(settings.seed)
    with_units = settings.is_off and settings.model not in POOLED_OFF_NETWORKS
    gradient = settings.gradient if with_units and settings.modality == "rgb" else None
    model = build_model(
        settings.model,
        num_classes=len(classes),
        modality=settings.modality,
        dropout=settings.dropout,
        gradient=gradient,
        gradient_dropout=settings.gradient_dropout if with_units else None,
    )
    if isinstance(model, OFF):
        assert settings.init is not None
        start = _tsn_of(settings.init)
        _copy(start, model.tsn, settings.init, classes)
        model.preprocessing = _preprocessing(settings, start.preprocessing)
        _require_flow_of(start, model, settings.init)
        model.freeze_backbone()
        return model
    usual = model.preprocessing
    stages = len(model.backbone.stages())
    all_stay = settings.frozen_stages == -1 or settings.frozen_stages >= stages
    if settings.init is not None:
        usual = _start_from(model, settings.init, classes)
    elif settings.model == "tsn_efficientnet_lite0":
        load = load_imagenet_for_flow if all_stay and model.modality == "flow" else load_imagenet
        load(model.backbone)
    model.preprocessing = _preprocessing(settings, usual)
    if all_stay:
        model.freeze_stages(stages)
        return model
    model.freeze_stages(settings.frozen_stages)
    if settings.partial_bn:
        model.freeze_batch_norm(except_first=True)
    return model


def _preprocessing(settings: Training, usual: Preprocessing) -> Preprocessing:
    """Return what is usual, with what the settings change of it."""
    size = settings.size or usual.size
    return replace(
        usual,
        size=size,
        short_side=round(size * usual.short_side / usual.size),
        pace=settings.pace,
        flow=flow_method(settings),
    )


def _tsn_of(path: Path) -> TSN:
    """Return the TSN of a checkpoint, which may be that of an OFF network."""
    loaded = load_model(path)
    if not isinstance(loaded, OFF):
        return loaded
    loaded.tsn.classes = loaded.classes
    return loaded.tsn


def _start_from(tsn: TSN, path: Path, classes: tuple[str, ...]) -> Preprocessing:
    """Fill a TSN with the weights of another of the same backbone.

    That is of the same modality and classes, or on RGB; from RGB the classifier is not taken.

    Returns:
        How the TSN wants its snippets: as the other did if it looked at the same.
    """
    start = _tsn_of(path)
    if start.modality != "rgb" or tsn.modality == "rgb":
        _copy(start, tsn, path, classes)
        return start.preprocessing
    try:
        start_from_rgb(tsn, start)
    except RuntimeError as error:
        raise UsageError(f"{path} has another backbone than the run's network") from error
    return tsn.preprocessing


def _copy(start: TSN, tsn: TSN, path: Path, classes: tuple[str, ...]) -> None:
    """Copy the weights of a TSN of the same modality, backbone and classes."""
    if start.modality != tsn.modality:
        raise UsageError(f"{path} is for {start.modality}, but the run is for {tsn.modality}")
    if start.classes != classes:
        pairs = zip(start.classes, classes, strict=False)
        differ = [f"{ours!r} there, {theirs!r} here" for ours, theirs in pairs if ours != theirs]
        raise UsageError(
            f"{path} knows {len(start.classes)} classes, the index has {len(classes)}"
            + (f"; they differ: {', '.join(differ[:5])}" if differ else "")
        )
    try:
        tsn.load_state_dict(start.state_dict())
    except RuntimeError as error:
        raise UsageError(f"{path} has another backbone than the run's network") from error


def _require_flow_of(start: TSN, model: OFF, path: Path) -> None:
    """Refuse flow by another method than the frozen TSN learnt from, where both are known."""
    learnt, given = start.preprocessing.flow, model.preprocessing.flow
    if learnt and given and learnt != given:
        raise UsageError(
            f"{path} learnt from flow by {learnt}, and the run's is by {given}; OFF leaves its TSN "
            f"as it is, so give it flow by {learnt}, or train a TSN on {given} first"
        )


def source_of(settings: Training) -> Source:
    """Return where a run's frames, or their flow, come from.

    Raises:
        UsageError: A folder of flow is missing.
    """
    if settings.modality != "flow":
        return Videos()
    return flow_source(folder=settings.flow, on_the_fly=settings.on_the_fly)


def flow_method(settings: Training) -> str:
    """Return the method of the flow that a run learns from; empty if unknown, or no flow.

    Raises:
        UsageError: A folder of flow is missing.
    """
    if settings.modality != "flow":
        return ""
    if settings.flow is None:
        return FlowOnTheFly().method
    return stored_method(settings.flow)


def clips_of(index: Index, model: Network, settings: Training) -> SnippetDataset:
    """Return random snippets of the videos, as the settings want them drawn."""
    rule = settings.sampling or ("paced" if settings.is_off else "segments")
    count = settings.snippets_per_video
    if rule == "segments":
        draw = partial(segment_draws, segments=count)
    elif rule == "paced":
        draw = partial(paced_draws, snippets=count, pace=settings.pace)
    else:
        draw = partial(caffe_draws, snippets=count, slots=settings.pace)
    return SnippetDataset(
        index,
        modality=settings.modality,
        preprocessing=model.preprocessing,
        draw=draw,
        seed=settings.views_seed if settings.cached_views else settings.seed,
        source=source_of(settings),
    )


def plain(settings: Training) -> dict[str, Any]:
    """Return all settings as JSON can hold them."""
    paths = {name: getattr(settings, name) for name in ("init", "flow")}
    return asdict(settings) | {name: path and str(path) for name, path in paths.items()}


def recipe_of(settings: Training) -> dict[str, Any]:
    """Return the settings that the result depends on, as JSON can hold them."""
    return {name: value for name, value in plain(settings).items() if name not in WITHOUT_EFFECT}
