"""How pixels are shared out when a picture is resized: plain and slow."""

from __future__ import annotations

import numpy as np


def shares(begin: float, end: float, outputs: int, inputs: int) -> np.ndarray:
    """The share of each input pixel in each output pixel along one axis, float64 (outputs, inputs), rows sum to 1."""
    matrix = np.zeros((outputs, inputs))
    step = (end - begin) / outputs
    for i in range(outputs):
        left, right = begin + i * step, begin + (i + 1) * step
        if step >= 1:
            for k in range(inputs):
                matrix[i, k] = max(0.0, min(right, k + 1) - max(left, k)) / step
        else:
            centre = min(max((left + right) / 2 - 0.5, 0), inputs - 1)
            first = min(int(centre), max(inputs - 2, 0))
            matrix[i, first] += 1 - (centre - first)
            if inputs > 1:
                matrix[i, first + 1] += centre - first
    return matrix
