"""What training runs say of themselves."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marey.errors import UsageError
from marey.lines import whole_rows

_MOST_POINTS = 300
_MOST = 1 << 53


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure over the steps of a run."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Step and value."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run's curves."""

    name: str
    steps: int
    loss: tuple[Curve, ...]
    accuracy: tuple[Curve, ...]
    """In per cent."""

    learning_rate: tuple[Curve, ...]


def load_run(folder: Path) -> Run:
    """Return the curves in the log of a training run, which may still be under way.

    Raises:
        UsageError: There is no log, or nothing in it.
    """
    log = folder / "log.jsonl"
    if not log.is_file():
        raise UsageError(
            f"{folder}: no log.jsonl in it; --run takes the folder that marey train --out wrote"
        )
    rows = list(_rows(log))
    if not rows:
        raise UsageError(f"{log}: no step in it yet; try again when training has begun")
    heads = sorted({name for row in rows for name in row if name.startswith("accuracy_")})
    accuracies = {"validation_accuracy": "held-out videos"}
    if len(heads) > 1:
        accuracies |= {name: f"head {name.removeprefix('accuracy_')}" for name in heads}
    return Run(
        name=folder.resolve().name,
        steps=int(max(row["step"] for row in rows)),
        loss=_curves(rows, {"loss": "training", "validation_loss": "held-out videos"}),
        accuracy=_curves(rows, accuracies, scale=100.0),
        learning_rate=_curves(rows, {"learning_rate": "learning rate"}),
    )


def _rows(log: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the lines that are whole; the last of a run under way may not be."""
    for row in whole_rows(log):
        # No number of steps or figure that a float cannot hold.
        if isinstance(row.get("step"), int) and all(map(_is_moderate, row.values())):
            yield row


def _is_moderate(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) < _MOST


def _curves(
    rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], *, scale: float = 1.0
) -> tuple[Curve, ...]:
    curves = []
    for key, name in names.items():
        points = [
            (float(row["step"]), scale * float(row[key]))
            for row in rows
            if isinstance(row.get(key), int | float) and math.isfinite(row[key])
        ]
        if points:
            curves.append(Curve(name, _thinned(points)))
    return tuple(curves)


def _thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return few enough points to draw: means of neighbours where there are too many."""
    size = math.ceil(len(points) / _MOST_POINTS)
    blocks = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple((_mean(x for x, _ in block), _mean(y for _, y in block)) for block in blocks)


def _mean(values: Iterator[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)
