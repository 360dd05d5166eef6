"""The median filter of TV-L1. Axes: H rows, W columns.

A part of the flow has one row and one column more than the image, copies of the last ones.
"""

from typing import Any

from marey.flow._compiled import compiled, compiled_apart


@compiled
def median(part: Any, copy: Any, scratch: Any) -> None:
    """Replace each value of one part of the flow by the median of the 5 x 5 around it."""
    height, width = part.shape[0] - 1, part.shape[1] - 1
    for y in range(height + 4):
        row = min(max(y - 2, 0), height - 1)
        for x in range(width):
            copy[y, x + 2] = part[row, x]
        copy[y, 0] = copy[y, 1] = copy[y, 2]
        copy[y, width + 2] = copy[y, width + 3] = copy[y, width + 1]
    for y in range(height):
        _sorted_columns(
            copy[y],
            copy[y + 1],
            copy[y + 2],
            copy[y + 3],
            copy[y + 4],
            scratch[0],
            scratch[1],
            scratch[2],
            scratch[3],
            scratch[4],
            width + 4,
        )
        _medians(scratch[0], scratch[1], scratch[2], scratch[3], scratch[4], part[y], width)
    pad_flow(part)


@compiled
def _sort5(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
    """Return five values in rising order."""
    a, b = min(a, b), max(a, b)
    d, e = min(d, e), max(d, e)
    c, e = min(c, e), max(c, e)
    c, d = min(c, d), max(c, d)
    b, e = min(b, e), max(b, e)
    a, d = min(a, d), max(a, d)
    a, c = min(a, c), max(a, c)
    b, d = min(b, d), max(b, d)
    b, c = min(b, c), max(b, c)
    return a, b, c, d, e


@compiled_apart
def _sorted_columns(
    r0: Any,
    r1: Any,
    r2: Any,
    r3: Any,
    r4: Any,
    s0: Any,
    s1: Any,
    s2: Any,
    s3: Any,
    s4: Any,
    width: int,
) -> None:
    """Fill s0 to s4 with the values of five rows, sorted column by column."""
    for x in range(width):
        s0[x], s1[x], s2[x], s3[x], s4[x] = _sort5(r0[x], r1[x], r2[x], r3[x], r4[x])


@compiled_apart
def _medians(s0: Any, s1: Any, s2: Any, s3: Any, s4: Any, out: Any, width: int) -> None:
    """Fill a row with the medians of windows of five sorted columns.

    When rows are sorted too, 13 values of 25 can be the median, on three diagonals: it is the
    median of the highest of the first, the median of the second and the lowest of the third.
    """
    for x in range(width):
        _, _, _, a3, a4 = _sort5(s0[x], s0[x + 1], s0[x + 2], s0[x + 3], s0[x + 4])
        _, _, b2, b3, b4 = _sort5(s1[x], s1[x + 1], s1[x + 2], s1[x + 3], s1[x + 4])
        _, c1, c2, c3, _ = _sort5(s2[x], s2[x + 1], s2[x + 2], s2[x + 3], s2[x + 4])
        d0, d1, d2, _, _ = _sort5(s3[x], s3[x + 1], s3[x + 2], s3[x + 3], s3[x + 4])
        e0, e1, _, _, _ = _sort5(s4[x], s4[x + 1], s4[x + 2], s4[x + 3], s4[x + 4])
        low = max(max(a3, b2), max(c1, d0))
        _, _, middle, _, _ = _sort5(a4, b3, c2, d1, e0)
        high = min(min(b4, c3), min(d2, e1))
        out[x] = max(min(low, middle), min(max(low, middle), high))


@compiled
def pad_flow(part: Any) -> None:
    """Fill the row and the column behind one part of the flow."""
    height, width = part.shape[0] - 1, part.shape[1] - 1
    for y in range(height):
        part[y, width] = part[y, width - 1]
    for x in range(width + 1):
        part[height, x] = part[height - 1, x]
