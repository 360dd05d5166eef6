"""What a network sees, snippet by snippet: each goes through the backbone once.

Axes: B snippets, C channels, H rows, W columns, Y classes.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from marey.models import OFF, Network
from marey.nn import Maps, PooledBranch, Shares, SplitBranch


class Sight(NamedTuple):
    """Logits that a snippet brought."""

    time: float
    """When its first frame was shown, in seconds."""

    heads: dict[str, Float[Tensor, " Y"]]
    """Of the snippet itself (`tsn`), and of the pair that it ended, if it ended one."""

    chain: int
    """The same for pairs of which each begins with the snippet that ended the one before."""


class _Kept(NamedTuple):
    time: float
    shares: Shares
    chain: int


class Watcher:
    """Shows a network one snippet after the other, and keeps what it needs of each.

    OFF compares a snippet with the one that came `distance` before it. Of an earlier snippet
    nothing is kept but the small maps that it contributes to pairs.

    Args:
        network: From `for_inference`.
        distance: Seconds between the two snippets of a pair.
        tolerance: Seconds by which that may be missed; a snippet without any other so near to
            where it should be ends no pair.
    """

    def __init__(self, network: Network, *, distance: float, tolerance: float) -> None:
        self._network = network
        self._distance = distance
        self._tolerance = tolerance
        self._kept: deque[_Kept] = deque()
        self._chains = 0

    def forget(self) -> None:
        """Compare what comes with nothing that came."""
        self._kept.clear()

    @torch.inference_mode()
    def see(self, clips: Float[Tensor, "B C H W"], times: Sequence[float]) -> list[Sight]:
        """Return what the network makes of snippets, which follow on those seen before.

        Args:
            clips: Normalised snippets.
            times: When each was shown, in seconds, growing.
        """
        network = self._network
        maps = network.maps(clips[None].to(network.device))
        tsn = network.tsn if isinstance(network, OFF) else network
        logits = tsn.heads(maps, snippets=len(clips))["tsn"][0].float().cpu()
        sights = [Sight(time, {"tsn": row}, 0) for time, row in zip(times, logits, strict=True)]
        if isinstance(network, OFF):
            assert isinstance(network.branch, SplitBranch | PooledBranch)
            self._compare(network.branch, maps, sights)
        return sights

    def _compare(self, branch: SplitBranch | PooledBranch, maps: Maps, sights: list[Sight]) -> None:
        """Add the logits of the pairs that snippets end, and what chains these are of."""
        shares = branch.shares(maps.levels)
        ends, earlier = [], []
        for number, sight in enumerate(sights):
            self._kept.append(_Kept(sight.time, _one(shares, number), self._chains))
            other = self._before(sight.time)
            if other is None:
                self._chains += 1
                continue
            ends.append(number)
            earlier.append(other.shares.earlier)
            self._kept[-1] = self._kept[-1]._replace(chain=other.chain)
            sights[number] = sight._replace(chain=other.chain)
        if not ends:
            return
        firsts = [torch.cat(level) for level in zip(*earlier, strict=True)]
        heads = branch.pairs(firsts, [level[ends] for level in shares.later])
        for name, logits in heads.items():
            for number, row in zip(ends, logits.float().cpu(), strict=True):
                sights[number].heads[name] = row

    def _before(self, time: float) -> _Kept | None:
        """Return the snippet nearest to a pair's distance before this time; drop older ones."""
        wanted = time - self._distance
        while len(self._kept) > 1 and abs(self._kept[1].time - wanted) <= abs(
            self._kept[0].time - wanted
        ):
            self._kept.popleft()
        nearest = self._kept[0]
        # A few billionths, because times are sums of floats.
        missed = abs(nearest.time - wanted) - self._tolerance
        return nearest if missed <= 1e-9 and nearest.time < time else None


def _one(shares: Shares, number: int) -> Shares:
    """Return those of one snippet, in memory of their own."""
    return Shares(
        earlier=tuple(level[number : number + 1].clone() for level in shares.earlier), later=()
    )
