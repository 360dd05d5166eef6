"""The runs that a network for a few clips takes: a TSN, and OFF on top of it, again and again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from marey.index import Index
from marey.settings import Training

from ._passes import Heads, answers_by_pass, learn_from_all
from ._run_folder import Progress

Tell = Callable[[str, int, int], None]
"""Is told what happened (`step` for a step), how many steps are done and how many there are."""


@dataclass(frozen=True, slots=True)
class ClipRuns:
    """Runs of a TSN, and of OFF on top of it."""

    settings: Training
    off_name: str
    work: Path
    cache: Path
    steps: "Steps"

    def fold(self, name: str, learn: Index, held_out: Index) -> dict[int, Heads]:
        """Learn from some clips and return what is said of others, by passes."""
        off = self._off(name, learn)
        said = answers_by_pass(
            off, learn, held_out, self.work / f"{name}-off", report=self.steps, cache=self.cache
        )
        self.steps.next()
        return said

    def all(self, name: str, learn: Index, passes: int, weights: Mapping[str, float]) -> Path:
        """Learn from all clips and return the checkpoint."""
        off = self._off(name, learn)
        return learn_from_all(
            off,
            learn,
            self.work / f"{name}-off",
            passes=passes,
            fusion=weights,
            report=self.steps,
            cache=self.cache,
        )

    def _off(self, name: str, learn: Index) -> Training:
        """Train the TSN and return the settings of OFF on top of it."""
        tsn = learn_from_all(
            self.settings,
            learn,
            self.work / f"{name}-tsn",
            passes=self.settings.epochs,
            fusion={},
            report=self.steps,
            cache=self.cache,
        )
        self.steps.next()
        return replace(self.settings, model=self.off_name, init=tsn)


class Steps:
    """Counts the steps of several runs as if they were one."""

    def __init__(self, tell: Tell, settings: Training, folds: tuple[int, ...]) -> None:
        self._tell = tell
        sizes = [len(folds) - folds.count(number) for number in range(max(folds) + 1)]
        self._runs = [
            -(-size // settings.batch) * settings.epochs
            for size in [*sizes, len(folds)]
            for _ in ("tsn", "off")
        ]
        self._finished = 0

    @property
    def done(self) -> int:
        """Steps of the runs that are over."""
        return sum(self._runs[: self._finished])

    @property
    def total(self) -> int:
        """Steps in all."""
        return sum(self._runs)

    def next(self) -> None:
        """Count a run as over."""
        self._finished += 1
        self._tell("step", self.done, self.total)

    def __call__(self, event: str, progress: Progress, steps: int) -> None:
        """Pass on what a run tells."""
        self._tell(event, self.done + progress.step, self.total)
