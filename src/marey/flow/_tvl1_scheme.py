"""The numbers of TV-L1, as OpenCV's `DualTVL1OpticalFlow` has them by default.

Flow that networks learn from should be the same whoever computes it: the accuracies published
for two-stream networks rest on these.
"""

import numpy as np

TAU, LAMBDA, THETA_EXACT = 0.25, 0.15, 0.3
SCALES = 5
SCALE_STEP = 0.8
WARPS = 5
OUTER, INNER = 10, 30
EPSILON = 0.01
"""Root of the mean squared change of an iteration, in pixels, below which a warp is done."""

MEDIAN = 5
"""Rows and columns of the median filter that each outer iteration begins with."""

LEAST_SIDE = 16
"""Pixels of the shorter side of the smallest image of the pyramid."""

THETA = np.float32(THETA_EXACT)
LAMBDA_THETA = np.float32(LAMBDA * THETA_EXACT)
TAU_THETA = np.float32(TAU / THETA_EXACT)


def sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the rows and columns of each image of the pyramid, the finest first."""
    found = [(height, width)]
    for _ in range(SCALES - 1):
        height, width = round(height * SCALE_STEP), round(width * SCALE_STEP)
        if min(height, width) < LEAST_SIDE:
            break
        found.append((height, width))
    return found
