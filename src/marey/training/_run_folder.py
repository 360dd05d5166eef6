"""The folder of a training run: what it takes to go on after any interruption.

`settings.json` says whose folder it is. `last.safetensors` holds weights, optimiser and place;
`state.json` repeats the place for people. A save writes the new file whole before it replaces
the old one, which stays as `previous.safetensors`: whichever of the two is intact is enough.
`next.safetensors` is a save that an interruption left between the two steps.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from marey.durable import naming, write_text
from marey.errors import CheckpointError, RefusedError, UsageError
from marey.models import Network, load_tensors, save_tensors

_OURS = ("model.safetensors", "best.safetensors", "last.safetensors", "log.jsonl", "state.json")


@dataclass(frozen=True, slots=True)
class Progress:
    """A place in training, between two steps."""

    epoch: int = 0
    """Passes over the videos that are complete."""

    step: int = 0
    """Steps taken in all."""

    seen: int = 0
    """Videos seen in the pass under way."""

    loss_sum: float = 0.0
    """Sum of the losses of these videos."""

    best_accuracy: float = -1.0
    """Share of held-out videos that the best checkpoint so far recognises."""

    best_loss: float = 1e30
    """Cross-entropy of that checkpoint on these videos."""

    best_epoch: int = -1
    """Pass after which it was taken."""

    def after_step(self, *, videos: int, loss_sum: float) -> "Progress":
        """Return the place one step on."""
        return replace(
            self, step=self.step + 1, seen=self.seen + videos, loss_sum=self.loss_sum + loss_sum
        )

    def with_best(self, *, accuracy: float, loss: float) -> "Progress":
        """Return the same place, with the pass under way as the best so far."""
        return replace(self, best_accuracy=accuracy, best_loss=loss, best_epoch=self.epoch + 1)

    def after_epoch(self) -> "Progress":
        """Return the start of the next pass."""
        return replace(self, epoch=self.epoch + 1, seen=0, loss_sum=0.0)


class RunFolder:
    """Saves a run and finds it again.

    Args:
        path: The folder, made if needed.
        settings: The run's settings, plain JSON values. A folder of another run is refused.
        may_change: Settings that may be others when the run goes on.

    Raises:
        UsageError: The folder belongs to another run.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], *, may_change: Collection[str] = ()
    ) -> None:
        self.path = path
        file = path / "settings.json"
        if file.exists():
            _require_same(_settings_in(file), json.loads(json.dumps(settings)), path, may_change)
            return
        foreign = [name for name in _OURS if (path / name).exists()]
        if foreign:
            raise UsageError(
                f"{path} has no settings.json, but {', '.join(foreign)}, which a run would "
                "overwrite; give another --out"
            )
        write_text(file, json.dumps(settings, indent=2) + "\n")

    @property
    def model(self) -> Path:
        """Return where the finished network lies."""
        return self.path / "model.safetensors"

    @property
    def validation(self) -> Path:
        """Return where the logits of the held-out videos lie, as the finished network has them."""
        return self.path / "validation.safetensors"

    @property
    def best(self) -> Path:
        """Return where the best weights so far lie."""
        return self.path / "best.safetensors"

    def save(self, model: Network, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
        """Save everything at a place in training."""
        save_tensors(self._next, state_of(model, optimiser), {"progress": asdict(progress)})
        self._name_next()
        self._tell(progress)

    @property
    def _next(self) -> Path:
        return self.path / "next.safetensors"

    def _name_next(self) -> None:
        """Make the save that is complete the last one, and that the previous one."""
        last = self.path / "last.safetensors"
        if last.exists():
            last.replace(self.path / "previous.safetensors")
        self._next.replace(last)

    def resume(
        self, model: Network, optimiser: torch.optim.Optimizer
    ) -> tuple[Progress, list[str]]:
        """Put back the newest intact save and return its place, and which saves are damaged."""
        damaged = []
        for name in ("next", "last", "previous"):
            path = self.path / f"{name}.safetensors"
            if not path.exists():
                continue
            try:
                tensors, metadata = load_tensors(path)
            except (CheckpointError, RefusedError):  # Damage can make it look like anything.
                damaged.append(path.name)
                continue
            if path == self._next:
                self._name_next()
            put_back(tensors, model, optimiser)
            progress = Progress(**metadata["progress"])
            self._tell(progress)
            return progress, damaged
        return Progress(), damaged

    def _tell(self, progress: Progress) -> None:
        write_text(self.path / "state.json", json.dumps(asdict(progress), indent=2) + "\n")

    def save_best(self, model: Network) -> None:
        """Keep the weights that validation likes best so far."""
        save_tensors(self.best, dict(model.state_dict()), {})

    def load_best(self, model: Network) -> None:
        """Put the best weights into the network."""
        tensors, _ = load_tensors(self.best)
        model.load_state_dict(tensors)

    def log(self, **values: Any) -> None:
        """Append a line to `log.jsonl`."""
        path = self.path / "log.jsonl"
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def rewind_log(self, step: int) -> None:
        """Drop lines of steps after `step`, which will be taken again."""
        path = self.path / "log.jsonl"
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):  # The line that the interruption cut.
                break
        write_text(path, "".join(line + "\n" for line in kept))


def state_of(model: Network, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return all that a run has learnt, by name."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optim.{number}.{name}": tensor for name, tensor in state.items()}
    return tensors


def put_back(
    tensors: Mapping[str, Tensor], model: Network, optimiser: torch.optim.Optimizer
) -> None:
    """Give a network and its optimiser what `state_of` returned."""
    weights = {
        name.removeprefix("model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("model.")
    }
    model.load_state_dict(weights)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optim."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = tensor
    if state:
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})


def _settings_in(path: Path) -> dict[str, Any]:
    """Return the settings that were written when the run began."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise UsageError(f"{path} is damaged, or not of a run; give another --out")
    return settings


def _require_same(
    old: Mapping[str, Any], new: Mapping[str, Any], path: Path, may_change: Collection[str]
) -> None:
    old, new = _flat(old), _flat(new)
    differences = [
        f"{name} was {old.get(name)!r}, is {new.get(name)!r}"
        for name in sorted(set(old) | set(new))
        if old.get(name) != new.get(name) and name not in may_change
    ]
    if differences:
        raise UsageError(
            f"{path} holds a run with other settings: {'; '.join(differences[:5])}. "
            "Repeat its settings to go on with it, or give another --out"
        )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings under names as one gives them on the command line."""
    answer: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            answer |= {f"{name}.{inner}": setting for inner, setting in value.items()}
        else:
            answer[name] = value
    return answer
