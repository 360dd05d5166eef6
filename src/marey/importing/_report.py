"""What an import did with every tensor."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_SHOWN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What went where, what was left out and what was missing."""

    source: str
    """Where the weights come from."""

    network: str
    """Name of the network."""

    modality: str
    """What its snippets hold."""

    classes: int
    """How many it tells apart."""

    taken: Mapping[str, str]
    """From each name in the file to ours."""

    left_out: Mapping[str, str]
    """From each other name in the file to the reason."""

    made: Mapping[str, str]
    """From each name of ours that is not in the file to what was put there."""

    remarks: tuple[str, ...]
    """What else to know."""

    def as_json(self) -> dict[str, Any]:
        """Return the whole report as JSON can hold it."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the report as people read it, without the names of what fits."""
        lines = [
            f"{self.source}: {self.network} for {self.modality}, {self.classes} classes",
            f"  taken     {len(self.taken)} tensors",
        ]
        for title, some in (("left out", self.left_out), ("made", self.made)):
            lines += [f"  {title:9} {_listed(names)}: {why}" for why, names in _grouped(some)]
        return lines + [f"  note      {remark}" for remark in self.remarks]


def _grouped(reasons: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return the names of each reason."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name, why in reasons.items():
        groups[why].append(name)
    return list(groups.items())


def _listed(names: list[str]) -> str:
    if len(names) > _SHOWN:
        return f"{len(names)} tensors, such as {names[0]}"
    return ", ".join(names)
