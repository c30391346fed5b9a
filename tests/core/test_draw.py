"""Drawing: the input stays, everything lies within the frame, labels say what is known and keep apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core.draw import NEUTRAL, PALETTE, color_of, draw_faces, label_of
from agegender_core.faces import Faces
from agegender_core.labels import blend, label_masks, place

EDGES = st.floats(-3e4, 3e4, width=32)


def some_faces(*boxes: tuple[float, ...], first_id: int = 1) -> Faces:
    n = len(boxes)
    return Faces(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        age=np.full(n, 33.6, np.float32),
        p_male=np.full(n, 0.2, np.float32),
        track_id=np.arange(first_id, first_id + n),
    )


def frame(width: int = 320, height: int = 240) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def test_a_face_is_drawn_into_a_copy() -> None:
    before = frame()
    picture = draw_faces(before, some_faces((100, 100, 160, 160)))
    assert (before == 90).all()
    assert picture.shape == before.shape
    assert picture.dtype == np.uint8
    changed = np.argwhere((picture != 90).any(axis=2))
    # The box with its edge, and the label above it: nothing far from the face.
    assert changed[:, 0].min() > 60
    assert changed[:, 0].max() < 168
    assert changed[:, 1].min() > 92
    # The line has the track's colour, the middle of the face stays as it was.
    assert np.abs(picture[130, 100].astype(int) - PALETTE[0]).max() < 40
    assert (picture[115:150, 115:150] == 90).all()


def test_nothing_to_draw_gives_the_same_picture() -> None:
    before = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    picture = draw_faces(before, Faces.empty())
    np.testing.assert_array_equal(picture, before)
    assert not np.shares_memory(picture, before)


def test_a_picture_that_must_not_be_written_is_fine() -> None:
    before = frame()[:, ::-1]
    before.flags.writeable = False
    assert draw_faces(before, some_faces((10, 10, 60, 60))).flags.writeable


@given(st.lists(st.tuples(EDGES, EDGES, EDGES, EDGES), max_size=6), st.integers(1, 200), st.integers(1, 150))
@settings(max_examples=60, deadline=None)
def test_any_boxes_on_any_frame(boxes: list[tuple[float, ...]], width: int, height: int) -> None:
    assert draw_faces(frame(width, height), some_faces(*boxes)).shape == (height, width, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_box_that_is_not_finite_is_left_out(bad: float) -> None:
    picture = draw_faces(frame(), some_faces((bad, 0, 50, 50), (100, 100, 160, 160)))
    np.testing.assert_array_equal(picture, draw_faces(frame(), some_faces((100, 100, 160, 160), first_id=2)))


@pytest.mark.parametrize("box", [(-40, -30, 20, 25), (290, 210, 360, 280), (-50, -50, 400, 300)])
def test_the_label_of_a_face_that_is_partly_outside_lies_inside(box: tuple[float, ...]) -> None:
    # The same frame with room around it: all that is drawn on the small one beyond the box is a whole label.
    label = label_masks("#1  female 34", 8).background
    area = place(tuple(int(v) for v in box), label.shape[::-1], 2, (320, 240), [], [])
    assert 0 <= area[0] < area[2] <= 320
    assert 0 <= area[1] < area[3] <= 240
    picture = draw_faces(frame(), some_faces(box))
    assert (picture != 90).any()


def test_labels_of_neighbours_keep_apart() -> None:
    labels: list[tuple[int, int, int, int]] = []
    boxes = [(100 + 35 * i, 100, 130 + 35 * i, 130) for i in range(4)]
    for box in boxes:
        labels.append(place(box, (80, 16), 2, (400, 300), labels, [other for other in boxes if other != box]))
    for i, a in enumerate(labels):
        for b in labels[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_what_a_label_says() -> None:
    everything = some_faces((0, 0, 9, 9), first_id=3)
    assert label_of(everything, 0) == "#3  female 34"
    assert label_of(everything.with_columns(track_id=None), 0) == "female 34"
    assert label_of(everything.with_columns(track_id=np.array([-1])), 0) == "female 34"
    unknown = np.array([np.nan], np.float32)
    assert label_of(everything.with_columns(age=unknown), 0) == "#3  female"
    assert label_of(everything.with_columns(age=unknown, p_male=None), 0) == "#3"
    assert label_of(Faces(xyxy=np.zeros((1, 4), np.float32)), 0) == ""


def test_colours_are_stable_and_neighbouring_ids_differ() -> None:
    assert color_of(3) == color_of(3)
    assert len({color_of(number) for number in range(1, 8)}) == 7
    assert color_of(-1) == NEUTRAL


def test_sizes_follow_the_frame() -> None:
    def area(height: int) -> float:
        side = height / 4
        picture = draw_faces(frame(height * 2, height), some_faces((side, side, 2 * side, 2 * side)))
        return float((picture != 90).any(axis=2).mean())

    # Small frames need larger letters, but by far not four times as large.
    assert 1.0 < area(270) / area(1080) < 3.0


def test_scale() -> None:
    faces = some_faces((100, 100, 160, 160))
    changed = [(draw_faces(frame(), faces, scale=scale) != 90).sum() for scale in (0.5, 1.0, 2.0)]
    assert changed == sorted(changed)
    with pytest.raises(ValueError, match="scale must be above 0, got 0"):
        draw_faces(frame(), faces, scale=0)


def test_a_background_holds_its_text() -> None:
    masks = label_masks("12 male 7", 12)
    assert masks.background.shape == masks.text.shape == (masks.edge.shape[0] - 2, masks.edge.shape[1] - 2)
    assert masks.text.max() > 200
    rows, columns = np.nonzero(masks.text > 40)
    assert rows.min() > 0
    assert rows.max() < masks.text.shape[0] - 1
    # Centred, and as tall as was asked for.
    assert abs(columns.min() - (masks.text.shape[1] - 1 - columns.max())) <= 2
    assert abs(rows.max() - rows.min() + 1 - 12) <= 4


def test_blend_paints_through_the_mask_and_clips() -> None:
    picture = frame(6, 4)
    blend(picture, np.array([[255, 128], [0, 255]], np.uint8), (5, 3), (190, 90, 0), opacity=0.5)
    assert picture[3, 5].tolist() == [140, 90, 45]
    picture[3, 5] = 90
    assert (picture == 90).all()
    blend(picture, np.full((2, 2), 255, np.uint8), (-9, -9), (0, 0, 0))
    assert (picture == 90).all()


def plain_blend(
    picture: np.ndarray, mask: np.ndarray, corner: tuple[int, int], color: tuple[int, int, int], opacity: float
) -> None:
    """As `blend` is documented, pixel by pixel that lies inside."""
    x, y = corner
    height, width = picture.shape[:2]
    inside = mask[max(-y, 0) : max(height - y, 0), max(-x, 0) : max(width - x, 0)]
    rows, columns = np.nonzero(inside)
    alpha = inside[rows, columns, None].astype(np.float32) * np.float32(opacity / 255.0)
    rows, columns = rows + max(y, 0), columns + max(x, 0)
    under = picture[rows, columns].astype(np.float32)
    picture[rows, columns] = (under + (np.asarray(color, np.float32) - under) * alpha + np.float32(0.5)).astype(
        np.uint8
    )


@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mask_size=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    corner=st.tuples(st.integers(-60, 60), st.integers(-60, 60)),
    opacity=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_blend_is_the_plain_formula(
    size: tuple[int, int], mask_size: tuple[int, int], corner: tuple[int, int], opacity: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (*size, 3), np.uint8)
    mask = np.asarray(random.integers(0, 256, mask_size) * (random.random(mask_size) < 0.3), np.uint8)
    color = (190, 90, 255)
    expected = picture.copy()
    plain_blend(expected, mask, corner, color, opacity)
    blend(picture, mask, corner, color, opacity)
    assert np.array_equal(picture, expected)


def test_blend_refuses_what_it_cannot_paint_into() -> None:
    mask = np.full((2, 2), 255, np.uint8)
    locked = frame(6, 4)
    locked.setflags(write=False)
    with pytest.raises(ValueError, match="writeable"):
        blend(locked, mask, (0, 0), (0, 0, 0))
    with pytest.raises(ValueError, match=r"opacity must lie in \[0, 1\], got nan"):
        blend(frame(6, 4), mask, (0, 0), (0, 0, 0), float("nan"))
    with pytest.raises(ValueError, match="frame must be"):
        blend(frame(6, 4)[..., 0], mask, (0, 0), (0, 0, 0))
