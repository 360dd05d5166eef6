"""The cluster that a command line names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marey.errors import UsageError

if TYPE_CHECKING:
    from marey.cluster import Cluster


@contextmanager
def joined(
    address: str | None, *, fetch: Sequence[str], workers: int | None = None
) -> Iterator["Cluster | None"]:
    """Yield the cluster at an address, joined; none where no address is given.

    Raises:
        UsageError: What is to be fetched cannot be, or there is nobody to fetch it.
    """
    if address is None:
        if fetch:
            raise UsageError("--fetch is for --cluster")
        yield None
        return
    from marey.addresses import require_protocols
    from marey.cluster import Cluster

    require_protocols(fetch)
    with Cluster(address, workers=workers) as cluster:
        yield cluster


def require_cpu(address: str | None, device: str) -> str:
    """Return the device that work is for; a cluster's workers have processors alone."""
    if address is None:
        return device
    if device not in ("auto", "cpu"):
        raise UsageError(f"the workers of --cluster take one core each, got --device {device}")
    return "cpu"
