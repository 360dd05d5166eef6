"""Every setting of a training run, checked as it is read. Importing this loads no torch."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from marey.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimisation:
    """How weights follow gradients."""

    optimiser: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum 0.9, as published, or AdamW."""

    lr: float = 0.02
    """Highest learning rate."""

    weight_decay: float = 5e-4
    """Weight decay; biases have none."""

    cycles: int = 1
    """Cosine cycles: the learning rate starts anew at each."""

    warmup: float = 0.0
    """Share of the steps in which the learning rate rises to its highest, 0 to 0.5."""

    clip_norm: float = 20.0
    """Gradients of the mean loss are scaled to at most this norm."""

    flow_reduction: float = 5.0
    """Learning-rate factor of the first convolutions of OFF units on flow and RGB difference."""

    def __post_init__(self) -> None:
        for name in ("lr", "clip_norm", "flow_reduction"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"optim.{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"optim.weight_decay must not be negative, got {self.weight_decay}")
        if self.cycles < 1:
            raise UsageError(f"optim.cycles must be at least 1, got {self.cycles}")
        if not 0 <= self.warmup <= 0.5:
            raise UsageError(f"optim.warmup must be between 0 and 0.5, got {self.warmup}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """One training run: a TSN, or OFF on a TSN that was trained before."""

    model: str = "tsn_efficientnet_lite0"
    """Network to train; `marey models` lists them."""

    modality: Literal["rgb", "flow", "rgbdiff"] = "rgb"
    """What the network looks at."""

    flow: Path | None = None
    """Folder of flow for the modality `flow`, as `marey flow` or TSN's tools write it."""

    on_the_fly: bool = False
    """Or compute flow by DIS while training, with nothing kept on the disk."""

    gradient: Literal["diagonal", "sobel"] = "diagonal"
    """Spatial gradient of an OFF network on RGB."""

    init: Path | None = None
    """Checkpoint to start from: for OFF networks the TSN to build on, which stays as it is."""

    seed: int = 0
    """Of all that is random; the same seed gives the same bytes on a CPU."""

    epochs: int = 40
    """Passes over the training videos."""

    batch: int = 128
    """Videos that a step learns from."""

    at_once: int = 16
    """Videos in memory at once; a step gathers as many as it takes."""

    snippets: int | None = None
    """Snippets per video; 3 for TSN and 7 for OFF unless given."""

    sampling: Literal["segments", "paced", "caffe"] | None = None
    """Rule that places snippets; `segments` for TSN and `paced` for OFF unless given."""

    size: int | None = None
    """Rows and columns of what the network sees: 224, or what the TSN below OFF sees, unless
    given; halved, it is four times as fast."""

    pace: int = 25
    """OFF's snippets are 1/pace of the video apart."""

    dropout: float = 0.8
    """Share of features dropped before a classifier."""

    gradient_dropout: float = 0.8
    """Share of the spatial gradient of an OFF network dropped."""

    standardise: bool = False
    """Scale the layers of an OFF branch before the first step, by what they answer to some of the
    training videos, to mean 0 and variance 1; they learn much sooner. Else they begin as drawn."""

    label_smoothing: float = 0.0
    """Share of the target given to all classes alike."""

    frozen_stages: int = 0
    """Leading stages of a TSN's backbone that stay as they are; -1 for all."""

    partial_bn: bool = True
    """Keep the statistics of all batch normalisations but the first."""

    hold_out: float = 0.1
    """Share of training videos held out to choose the checkpoint, if the index has no `val`."""

    hold_out_seed: int = 0
    """Which videos are held out; apart from `seed`, so that seeds differ in nothing else."""

    validate_every: int = 1
    """Epochs between validations."""

    cached_views: int = 0
    """With a frozen backbone: random views of each video to keep the maps of, used in turn
    instead of a new view in every pass; 0 for none."""

    views_seed: int = 0
    """Of the kept views; runs that share it share the cache."""

    save_minutes: float = 5.0
    """Minutes between saves within an epoch; each epoch's end is saved too."""

    workers: int = 1
    """Processes that decode; 0 decodes in the training process."""

    threads: int | None = None
    """CPU threads of the network; all cores unless given. The bytes depend on it."""

    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""

    optim: Optimisation = field(default_factory=Optimisation)

    def __post_init__(self) -> None:
        lowest = dict.fromkeys(("epochs", "batch", "at_once", "validate_every", "threads"), 1)
        lowest |= dict.fromkeys(("seed", "views_seed", "hold_out_seed"), 0)
        lowest |= {"cached_views": 0, "workers": 0, "pace": 2, "frozen_stages": -1}
        for name, low in lowest.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise UsageError(f"{name} must be at least {low}, got {value}")
        if not self.save_minutes >= 0:
            raise UsageError(f"save_minutes must not be negative, got {self.save_minutes}")
        if self.size is not None and (self.size % 16 or self.size < 64):
            raise UsageError(f"size must be a multiple of 16 from 64 on, got {self.size}")
        for name in ("dropout", "gradient_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 < self.hold_out < 1:
            raise UsageError(f"hold_out must be between 0 and 1, got {self.hold_out}")
        if self.cached_views and not (self.is_off or self.frozen_stages == -1):
            raise UsageError("cached_views needs a frozen backbone: set frozen_stages to -1")
        if self.modality != "flow" and (self.flow or self.on_the_fly):
            raise UsageError(
                f"flow and on_the_fly are for the modality flow; this run is for {self.modality}"
            )
        if self.modality == "flow" and (self.flow is None) is not self.on_the_fly:
            raise UsageError(
                "training on flow needs --flow FOLDER (`marey flow` makes it) or --on-the-fly, "
                f"and {'not both' if self.on_the_fly else 'got neither'}"
            )
        if self.is_off and self.init is None:
            raise UsageError(
                f"{self.model} is trained on top of a TSN: give its checkpoint with --init"
            )
        if self.snippets is not None and self.snippets < (2 if self.is_off else 1):
            raise UsageError(f"{self.model} cannot learn from {self.snippets} snippets")
        if self.sampling == "caffe" and self.snippets_per_video > self.pace:
            raise UsageError(
                f"sampling caffe places at most as many snippets as pace has slots, {self.pace}; "
                f"got {self.snippets_per_video}"
            )

    @property
    def is_off(self) -> bool:
        """Tell whether the network is an OFF network."""
        return self.model.startswith("off_")

    @property
    def snippets_per_video(self) -> int:
        """Return what `snippets` stands for."""
        return self.snippets or (7 if self.is_off else 3)
