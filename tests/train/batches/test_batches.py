from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import Thread
from time import sleep
from typing import Any

import cv2
import numpy as np
import pytest

from agegender_core.augment import augment
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.batches.augment import draw_changes, uniforms
from agegender_train.batches.augmentation import Augmentation
from agegender_train.batches.batches import Batches, age_weights
from agegender_train.batches.face_set import FaceSet, hold_out
from agegender_train.store import Store
from agegender_train.store.labels import Labels

SPEC = PreprocessSpec(32, chip_size=72, margin=0.3, mean=(127.5,) * 3, scale=(1 / 127.5,) * 3)


def face(size: int = 71) -> np.ndarray:
    """A smooth chip without any symmetry."""
    y, x = np.mgrid[0:size, 0:size] / size
    return np.stack([200 * x + 20, 150 * y + 50, 120 * (1 - x) * y + 60], -1).astype(np.uint8)


STILL = vars(Augmentation.none())
WHOLE = PreprocessSpec(71, chip_size=71)
"""Chips as they are."""


def drawn(chips: np.ndarray, augmentation: Augmentation, seed: int = 0) -> np.ndarray:
    """Chips as a training with these changes would see them; other surroundings are those of the next chip."""
    rows = np.arange(len(chips))
    changes, others = draw_changes(augmentation, (seed,), rows, (rows + 1) % len(chips))
    return augment(chips, changes, WHOLE, [None if other < 0 else chips[other] for other in others])


def test_no_augmentation_changes_nothing() -> None:
    chips = np.stack([face(), face()[::-1]])
    np.testing.assert_allclose(drawn(chips, Augmentation.none()), chips, atol=0.05)


def test_flipping_mirrors() -> None:
    chips = face()[None]
    np.testing.assert_allclose(drawn(chips, Augmentation(**{**STILL, "flip": 1.0})), chips[:, :, ::-1], atol=0.05)


def test_turns_and_scalings_keep_the_centre_and_shifts_their_limits() -> None:
    dot = np.zeros((50, 71, 71, 3), np.uint8)
    dot[:, 34:37, 34:37] = 255

    def centres(**changes: float) -> np.ndarray:
        chips = drawn(dot, Augmentation(**{**STILL, **changes}))[..., 0]
        found = [[(chip * axis).sum() / chip.sum() for axis in np.mgrid[0:71, 0:71]] for chip in chips]
        return np.array(found) - 35

    assert np.abs(centres(rotation=30.0, scale=0.2, flip=0.5)).max() < 0.1
    shifted = centres(shift=0.1)
    assert 6 < np.abs(shifted).max() <= 7.2
    assert np.abs(shifted.mean(axis=0)).max() < 2


def test_a_turn_and_a_scaling_are_those_of_opencv() -> None:
    chips = np.repeat(face()[None], 20, 0)
    augmentation = Augmentation(**{**STILL, "rotation": 8.0, "scale": 0.08, "shift": 0.03, "flip": 0.5})
    changes, _ = draw_changes(augmentation, (5,), np.arange(20), np.arange(20))
    made = augment(chips, changes, WHOLE)
    turns = []
    for chip, warp in zip(made, changes["warp"], strict=True):
        back = warp * [[1, 1, 71]]
        back[:, 2] += back[:, :2].sum(axis=1) / 2 - 0.5  # to positions of the pixels' middles
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        theirs = cv2.warpAffine(chips[0], back, (71, 71), flags=flags, borderMode=cv2.BORDER_REFLECT)
        # Where ours averages over more than a pixel, or the mirrored edge has a corner, they differ by more.
        assert np.quantile(np.abs(chip - theirs), 0.9) < 1
        turns.append(np.degrees(np.arctan2(warp[1, 0], warp[1, 1])))
    assert 5 < np.abs(turns).max() <= 8
    assert {np.sign(np.linalg.det(warp[:, :2])) for warp in changes["warp"]} == {-1, 1}


def test_colours_stay_near_and_grey_has_no_colour() -> None:
    chips = np.repeat(face()[None], 40, 0)
    grey = drawn(chips, Augmentation(**{**STILL, "grey": 1.0}))
    assert np.ptp(grey, axis=-1).max() <= 0.1
    luma = face() @ np.array([0.3, 0.5833, 0.1167])
    assert np.abs(grey[0, ..., 0] - luma).max() < 1
    offsets = (drawn(chips, Augmentation(**{**STILL, "brightness": 0.1})) - chips).mean(axis=(1, 2, 3))
    assert np.abs(offsets).max() <= 26
    assert np.ptp(offsets) > 30


def test_other_surroundings_leave_the_middle_as_it_is() -> None:
    chips = np.stack([face(), 255 - face(), face()[:, ::-1], face()[::-1]] * 5)
    surrounded = drawn(chips, Augmentation(**{**STILL, "surroundings": 1.0, "inset": 0.2}))
    inner = slice(math.ceil(0.2 * 71), 71 - math.ceil(0.2 * 71))
    np.testing.assert_allclose(surrounded[:, inner, inner], chips[:, inner, inner], atol=0.05)
    assert all((np.abs(new - old) > 9).any() for new, old in zip(surrounded, chips, strict=True))
    corners = surrounded[:, 0, 0]
    assert (corners.max(axis=1) < 20).any(), "black"
    assert (np.ptp(surrounded[:, 0, 4:9], axis=1).max(axis=1) > 0.1).any(), "another chip"


def test_what_is_coarse_and_covered_is_so_as_often_as_asked() -> None:
    rows = np.arange(4000)
    changes, others = draw_changes(Augmentation(), (3,), rows, rows + 4000)
    assert np.mean(changes["detail"] < 1) == pytest.approx(0.2, abs=0.03)
    assert changes["detail"].min() == pytest.approx(0.25, abs=0.01)
    left, top, right, bottom = changes["covered"].T
    is_covered = right > left
    assert is_covered.mean() == pytest.approx(0.1, abs=0.02)
    assert (changes["covered"] <= 1).all()
    assert 0.1 <= (bottom - top)[is_covered].min() < 0.12
    assert 0.33 < (bottom - top)[is_covered].max() <= 0.35
    is_surrounded = (changes["kept"] != (0, 0, 1, 1)).any(axis=1)
    assert is_surrounded.mean() == pytest.approx(0.3, abs=0.03)
    assert np.mean(others >= 0) == pytest.approx(0.1, abs=0.02)
    assert set(others[others >= 0]) <= set(rows + 4000)
    assert not (others[~is_surrounded] >= 0).any()


def test_random_numbers_are_those_of_splitmix64_from_a_face_s_place_on() -> None:
    """The published algorithm, a number at a time."""
    (state,) = np.random.SeedSequence((1, 2)).generate_state(1, np.uint64).tolist()
    mask, numbers = 2**64 - 1, []
    for _ in range(3 * 64):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        numbers.append(((z ^ (z >> 31)) >> 11) / 2**53)
    expected = np.reshape(numbers, (3, 64))[[2, 0], :40]
    np.testing.assert_array_equal(uniforms((1, 2), np.array([2, 0]), 40).T, expected)


def test_a_face_is_changed_alike_whatever_it_is_in_a_batch_with(make_store: Any) -> None:
    faces, rows = FaceSet([make_store("a", 48)]), np.arange(48)
    inputs: dict[int, np.ndarray] = {}
    for batch_size, share in ((12, (0, 1)), (16, (0, 1)), (6, (1, 3)), (48, (0, 1))):
        batches = Batches(faces, rows, SPEC, batch_size, seed=1, augmentation=Augmentation(), share=share)
        for epoch in range(2):
            order = np.random.default_rng([1, epoch]).permutation(48)
            part = batch_size // share[1]
            for step in range(batches.per_epoch):
                start = step * batch_size + share[0] * part
                made = batches[epoch * batches.per_epoch + step].inputs
                for row, face_ in zip(order[start : start + part], made, strict=True):
                    np.testing.assert_array_equal(inputs.setdefault(100 * epoch + row, face_), face_)
    assert len(inputs) == 96
    assert all((inputs[row] != inputs[100 + row]).any() for row in range(48))


def test_a_batch_is_shared_evenly(make_store: Any) -> None:
    with pytest.raises(ValueError, match="batch_size must be a multiple of 3, the number of processes, got 8"):
        Batches(FaceSet([make_store("a", 20)]), np.arange(20), SPEC, 8, seed=0, share=(0, 3))


def test_augmentation_refuses_what_is_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"flip must be in \[0, 1\], got 2"):
        Augmentation(flip=2)
    with pytest.raises(ValueError, match=r"shrink must be in \[1, 64\], got 0.5"):
        Augmentation(shrink=0.5)
    with pytest.raises(ValueError, match=r"scale must be in \[0, 0.5\], got 0.6"):
        Augmentation(scale=0.6)


CHIP_BYTES = 72 * 72 * 3


@pytest.mark.parametrize("room", [17, 4, 1, 0])
def test_faces_of_several_stores_are_one_set_whatever_is_cached(make_store: Any, room: int) -> None:
    stores = [make_store("a", 10), make_store("b", 7, exact=True)]
    faces = FaceSet(stores, cache_bytes=(room + 0.9) * CHIP_BYTES)
    rows = np.array([16, 0, 9, 10, 3, 0])
    expected = np.stack([stores[1].decode([6])[0], *stores[0].decode([0, 9]), *stores[1].decode([0]),
                         *stores[0].decode([3, 0])])  # fmt: skip
    for _ in range(2):
        np.testing.assert_array_equal(faces.chips(rows), expected)
    assert (len(faces), len(faces.labels)) == (17, 17)
    assert faces.identities()[9:11] == ["a/9.jpg", "b/0.jpg"]
    assert faces.chips(rows[:0]).shape == (0, 72, 72, 3)


def test_a_cache_keeps_what_fits_and_only_the_rest_is_decoded_again(
    make_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = FaceSet([make_store("a", 30), make_store("b", 10)], cache_bytes=25 * CHIP_BYTES)
    decoded: list[int] = []
    decode = Store.decode

    def counted(store: Store, rows: Any, **options: Any) -> Any:
        decoded.extend(rows)
        return decode(store, rows, **options)

    monkeypatch.setattr(Store, "decode", counted)
    order = np.random.default_rng(0).permutation(40)
    counts = []
    for _ in range(3):
        decoded.clear()
        for rows in (order[:16], order[16:32], order[32:]):
            faces.chips(rows)
        counts.append(len(decoded))
    assert counts == [40, 15, 15]


def test_threads_that_fill_the_cache_at_once_never_see_a_wrong_face(make_store: Any) -> None:
    store = make_store("a", 60)
    expected = store.decode(np.arange(60))
    for room in (60, 35):
        faces = FaceSet([store], cache_bytes=room * CHIP_BYTES)

        def look(seed: int, faces: FaceSet = faces) -> bool:
            rng = np.random.default_rng(seed)
            picks = [rng.integers(0, 60, 13) for _ in range(12)]
            return all(bool((faces.chips(rows) == expected[rows]).all()) for rows in picks)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(look, range(24)))
        np.testing.assert_array_equal(faces.chips(np.arange(60)), expected)


def test_views_are_the_cache_itself_and_nobody_writes_on_them(make_store: Any) -> None:
    faces = FaceSet([make_store("a", 4)], cache_bytes=2 * CHIP_BYTES)
    for _ in range(2):
        views = faces.in_place(np.arange(4))
        for view in views:
            with pytest.raises(ValueError, match="read-only"):
                view[:] = 0
    shared = [np.shares_memory(one, other) for one, other in zip(views, faces.in_place(np.arange(4)), strict=True)]
    assert shared == [True, True, False, False]


def test_a_face_that_cannot_be_decoded_is_an_error_each_time(make_store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = FaceSet([make_store("a", 6)])

    def damaged(*_: Any, **__: Any) -> None:
        raise ValueError("damaged")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "decode", damaged)
        for _ in range(2):
            with pytest.raises(ValueError, match="damaged"):
                faces.chips(np.arange(3))
    np.testing.assert_array_equal(faces.chips(np.arange(6)), faces.stores[0].decode(np.arange(6)))


def test_stores_that_are_cut_differently_are_refused(make_store: Any) -> None:
    with pytest.raises(ValueError, match=r"a has chips of 72 px with padding 0.4, b of 72 px with 0.25"):
        FaceSet([make_store("a", 4), make_store("b", 4, padding=0.25)])
    with pytest.raises(ValueError, match="at least one store"):
        FaceSet([])


def test_without_subjects_a_picture_is_held_out_as_a_whole(make_store: Any) -> None:
    faces = FaceSet([make_store("a", 50)])
    assert len(set(faces.identities())) == 50, "nothing says which pictures show one person"


def test_nobody_is_on_both_sides_and_everyone_stays_there(make_store: Any) -> None:
    faces = FaceSet([make_store("a", 400, subjects=100)])
    who = np.array(faces.identities())
    held = hold_out(list(who), 0.3, seed=0)
    assert not set(who[held]) & set(who[~held])
    assert 0.15 < held.mean() < 0.45
    np.testing.assert_array_equal(hold_out([*who, "b/new"], 0.3, seed=0)[:-1], held)
    assert (hold_out(list(who), 0.3, seed=1) != held).any()
    assert not hold_out(list(who), 0.0, seed=0).any()
    with pytest.raises(ValueError, match=r"fraction must be in \[0, 1\), got 1"):
        hold_out(list(who), 1.0, seed=0)


def test_balance_gives_groups_equal_weight() -> None:
    low, high = [20.0] * 6 + [70.0] * 2 + [33.0, None], [29.0] * 6 + [100.0] * 2 + [33.0, None]
    nothing = [None] * 10
    labels = Labels.from_columns(
        age_low=low, age_high=high, gender=nothing, group=nothing, subject=nothing, split=nothing, key=nothing
    )
    np.testing.assert_array_equal(age_weights(labels, 0.0), [1] * 9 + [0])
    even = age_weights(labels, 1.0)
    assert even[:9].mean() == pytest.approx(1)
    assert even[:6].sum() == pytest.approx(even[6:8].sum()) == pytest.approx(even[8])
    assert even[9] == 0


def test_a_batch_holds_each_face_with_its_own_labels(make_store: Any) -> None:
    faces = FaceSet([make_store("a", 24, genders=(0, 1, None))])
    batches = Batches(faces, np.arange(24), SPEC, batch_size=24, seed=3)
    inputs, targets, weights = batches[0]
    assert inputs.shape == (24, 32, 32, 3)
    reference = preprocess(faces.chips(np.arange(24)), SPEC)
    seen = []
    for row in range(24):
        (number,) = np.flatnonzero((reference == inputs[row]).all(axis=(1, 2, 3)))
        seen.append(int(number))
        assert targets["age"][row].tolist() == [faces.labels.age_low[number], faces.labels.age_high[number]]
        assert weights["gender"][row] == (faces.labels.gender[number] >= 0)
        assert targets["gender"][row] == max(faces.labels.gender[number], 0)
    assert sorted(seen) == list(range(24))
    assert seen != list(range(24))
    assert all(np.isfinite(value).all() for value in (*targets.values(), *weights.values()))


def test_an_epoch_shows_no_face_twice_and_the_next_one_in_another_order(make_store: Any) -> None:
    faces = FaceSet([make_store("a", 30)])
    batches = Batches(faces, np.arange(4, 30), SPEC, batch_size=8, seed=0)
    assert batches.per_epoch == 3
    epochs = [np.concatenate([batches[3 * epoch + step].inputs for step in range(3)]) for epoch in range(2)]
    for epoch in epochs:
        assert len(np.unique(epoch.reshape(24, -1), axis=0)) == 24
    assert (epochs[0] != epochs[1]).any()


def test_the_order_of_an_epoch_is_drawn_once_and_depends_on_the_seed_alone(
    make_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = FaceSet([make_store("a", 40)])
    drawn: list[list[int]] = []
    make = np.random.default_rng

    def counted(seed: list[int]) -> np.random.Generator:
        drawn.append(seed)
        return make(seed)

    monkeypatch.setattr(np.random, "default_rng", counted)
    batches = Batches(faces, np.arange(40), SPEC, batch_size=8, seed=7)
    with batches.stream(workers=4, ahead=8) as stream:
        streamed = [next(stream)[0] for _ in range(20)]
    assert sorted(drawn) == [[7, epoch] for epoch in range(len(drawn))]
    assert len(drawn) <= 6
    # As each batch alone would have drawn it.
    reference = preprocess(faces.chips(np.arange(40)), SPEC)
    for index, inputs in enumerate(streamed):
        epoch, step = divmod(index, 5)
        order = make([7, epoch]).permutation(40)
        np.testing.assert_array_equal(inputs, reference[order[8 * step : 8 * step + 8]])


def test_threads_change_nothing_and_a_stream_can_start_anywhere(make_store: Any) -> None:
    faces = FaceSet([make_store("a", 20)])
    batches = Batches(faces, np.arange(20), SPEC, 5, seed=1, augmentation=Augmentation())
    for start, workers in ((0, 1), (3, 3)):
        with batches.stream(start, workers) as stream:
            for index, (inputs, targets, _) in enumerate(islice(stream, 6), start):
                np.testing.assert_array_equal(inputs, batches[index].inputs)
                np.testing.assert_array_equal(targets["age"], batches[index].targets["age"])


def test_a_stream_ends_with_its_context_for_whoever_still_reads(make_store: Any) -> None:
    faces, read = FaceSet([make_store("a", 20)]), []
    with Batches(faces, np.arange(20), SPEC, 5, seed=1).stream() as stream:
        reader = Thread(target=lambda: read.extend(1 for _ in stream))
        reader.start()
        while not read:
            sleep(0.001)
    reader.join(timeout=10)
    assert not reader.is_alive()
    assert list(stream) == []


def test_batches_need_enough_faces(make_store: Any) -> None:
    faces = FaceSet([make_store("a", 6)])
    with pytest.raises(ValueError, match=r"batch_size must be in 1\.\.6, the number of faces to learn from, got 7"):
        Batches(faces, np.arange(6), SPEC, 7, seed=0)
