"""How much the service takes on."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from marey.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a client may ask for.

    Raises:
        UsageError: One is not above zero.
    """

    bytes: int = 256 << 20
    """Bytes of an upload."""

    seconds: float = 600.0
    """Duration of a video."""

    pixels: int = 3840 * 2160
    """Pixels of a frame."""

    queue: int = 32
    """Requests, or jobs, that wait or are worked on; more are turned away."""

    deadline: float = 60.0
    """Seconds that an answer may take, its wait included; a job has ten times as long to run."""

    keep: float = 24.0
    """Hours after which a job is erased."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < float("inf"):
                option = {"bytes": "max-bytes", "seconds": "max-seconds", "pixels": "max-pixels"}
                raise UsageError(f"--{option.get(name, name)} must be above 0, got {value}")

    @property
    def job_seconds(self) -> float:
        """Seconds that a job may run."""
        return 10 * self.deadline

    def as_json(self) -> dict[str, Any]:
        """Return those that a client can keep to."""
        told = ("bytes", "seconds", "pixels", "queue")
        return {
            field.name: getattr(self, field.name) for field in fields(self) if field.name in told
        }
