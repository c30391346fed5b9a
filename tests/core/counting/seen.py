"""Faces at chosen places, as a tracker gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agegender_core.faces import Faces

Seen = tuple[int, float, float]
SIDE = 20.0


def faces_at(seen: Sequence[Seen], time: float = 0.0, age: float = math.nan, p_male: float = math.nan) -> Faces:
    """Faces of 20 x 20 pixels, each with its track and the middle of its box."""
    count = len(seen)
    middles = np.array([(x, y) for _, x, y in seen], np.float32).reshape(count, 2)
    return Faces(
        xyxy=np.concatenate([middles - SIDE / 2, middles + SIDE / 2], axis=1),
        track_id=np.array([number for number, _, _ in seen], np.int64),
        age=np.full(count, age, np.float32),
        age_interval=np.tile(np.array([[age - 8, age + 8]], np.float32), (count, 1)),
        p_male=np.full(count, p_male, np.float32),
        time=time,
    )
