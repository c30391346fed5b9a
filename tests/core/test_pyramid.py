from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_core.pyramid import Level, best_of_overlapping, in_core, levels

SIDES = st.integers(1, 9000)


@given(SIDES, SIDES, st.floats(0.05, 4))
def test_levels_go_down_to_where_a_face_that_fills_the_frame_is_small(width: int, height: int, scale: float) -> None:
    found = levels(width, height, scale)
    assert found[0].scale == pytest.approx(scale)
    assert max(found[-1].size) <= 512
    assert all(fine.scale <= 4.001 * coarse.scale for fine, coarse in itertools.pairwise(found))
    assert all(min(level.size) >= 1 for level in found)


@given(SIDES, SIDES, st.floats(0, 1), st.floats(0, 1), st.floats(1, 256))
def test_each_face_is_whole_in_the_one_tile_that_answers_for_it(
    width: int, height: int, x: float, y: float, side: float
) -> None:
    level = Level(1.0, (width, height))
    side = min(side, width, height)
    left, top = x * (width - side), y * (height - side)
    box = np.array([[left, top, left + side, top + side]], np.float32)
    tiles = list(level.tiles())
    answering = [tile for tile in tiles if in_core(box, tile)[0]]
    assert len(answering) == 1
    tile_left, tile_top, tile_right, tile_bottom = answering[0].box
    assert tile_left - 1 <= left
    assert tile_top - 1 <= top
    assert left + side <= tile_right + 1
    assert top + side <= tile_bottom + 1
    for tile in tiles:
        assert 0 <= tile.box[0] < tile.box[2] <= width
        assert 0 <= tile.box[1] < tile.box[3] <= height
        assert tile.box[2] - tile.box[0] <= 1280
        assert tile.box[3] - tile.box[1] <= 1280


def test_of_two_boxes_of_one_face_the_better_stays() -> None:
    boxes = np.array([[0, 0, 100, 100], [4, 0, 104, 100], [30, 40, 60, 70], [200, 0, 300, 100]], np.float32)
    # The third, a part of the first, overlaps it by an IoU of 0.09 only.
    assert best_of_overlapping(boxes, np.array([0.9, 0.8, 0.7, 0.6], np.float32), 0.3).tolist() == [0, 3]
    assert best_of_overlapping(boxes, np.array([0.6, 0.9, 0.7, 0.95], np.float32), 0.3).tolist() == [3, 1]
    assert best_of_overlapping(boxes[:0], np.empty(0, np.float32), 0.3).tolist() == []


def test_neighbours_that_touch_are_two_faces() -> None:
    boxes = np.array([[0, 0, 100, 100], [70, 20, 150, 100]], np.float32)
    assert best_of_overlapping(boxes, np.array([0.9, 0.9], np.float32), 0.3).tolist() == [0, 1]
