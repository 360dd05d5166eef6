"""What must be known of a network to use it, as it travels in an exported file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import get_args

from marey.data import Preprocessing, preprocessing_of
from marey.errors import CheckpointError
from marey.models import OFF, Modality, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of a network but its weights."""

    model: str
    """Name of the function in `marey.models` that built it."""

    modality: Modality
    classes: tuple[str, ...]
    """Names in the order of the logits; empty if unknown."""

    preprocessing: Preprocessing
    fusion: Mapping[str, float]
    """Weight of each head in the final scores; empty if unknown."""

    heads: tuple[str, ...]
    """Names of the outputs, in order."""

    weights_sha256: str
    """Hash of the weights in the checkpoint that it came from; empty if none."""

    precision: str = "float32"
    """Numbers that it computes with, or `int8` where most are of 8 bits."""

    @property
    def sees_motion(self) -> bool:
        """Whether the network compares snippets."""
        return len(self.heads) > 1

    def as_strings(self) -> dict[str, str]:
        """Return the facts for a file whose metadata are strings: JSON, but for plain words."""
        return {
            "model": self.model,
            "modality": self.modality,
            "classes": json.dumps(list(self.classes)),
            "preprocessing": json.dumps(asdict(self.preprocessing)),
            "snippet_spacing": json.dumps(1 / self.preprocessing.pace),
            "fusion": json.dumps(dict(self.fusion)),
            "heads": json.dumps(list(self.heads)),
            "weights_sha256": self.weights_sha256,
            "precision": self.precision,
            "marey": version("marey"),
        }


def facts_of(model: Network) -> Facts:
    """Return the facts of a network."""
    return Facts(
        model=model.name,
        modality=model.modality,
        classes=model.classes,
        preprocessing=model.preprocessing,
        fusion=model.fusion,
        heads=("tsn", *(model.branch.heads if isinstance(model, OFF) else ())),
        weights_sha256=model.sha256,
    )


def facts_in(strings: Mapping[str, str], *, file: object) -> Facts:
    """Return the facts that `as_strings` wrote.

    Raises:
        CheckpointError: They are not all there.
    """
    try:
        return Facts(
            model=strings["model"],
            modality=_modality(strings["modality"]),
            classes=tuple(json.loads(strings["classes"])),
            preprocessing=preprocessing_of(json.loads(strings["preprocessing"])),
            fusion=json.loads(strings["fusion"]),
            heads=tuple(json.loads(strings["heads"])),
            weights_sha256=strings["weights_sha256"],
            precision=strings["precision"],
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{file} does not say how it wants its input, so `marey export` did not write it; "
            "export the network again from its checkpoint"
        ) from error


def _modality(name: str) -> Modality:
    modalities: tuple[Modality, ...] = get_args(Modality)
    return modalities[modalities.index(name)]
