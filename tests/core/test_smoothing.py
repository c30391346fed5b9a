"""Smoothing over time: fixed points, decay, independence of the frame rate, outliers, coasted frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_core.faces import Faces
from agegender_core.smoothing import Smoother, robust_mean

FRAME = np.zeros((10, 10, 3), np.uint8)
AGES = st.floats(0, 100, width=32)
CHANCES = st.floats(0, 1, width=32)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def face(age: float, p_male: float, track_id: int = 1, side: float = 100.0, score: float = 1.0) -> Faces:
    return Faces(
        xyxy=column(0, 0, side, side)[None],
        score=column(score),
        age=column(age),
        age_std=column(7.0),
        p_male=column(p_male),
        track_id=np.array([track_id]),
    )


def coasted(track_id: int = 1) -> Faces:
    return Faces(xyxy=column(0, 0, 100, 100)[None], track_id=np.array([track_id]))


def feed(smoother: Smoother, faces: list[Faces], fps: float = 25.0, start: float = 0.0) -> list[Faces]:
    return [smoother(FRAME, each.with_columns(time=start + index / fps)) for index, each in enumerate(faces)]


@given(AGES, CHANCES, st.integers(1, 60), st.floats(0.1, 10))
@settings(max_examples=50, deadline=None)
def test_constant_input_is_a_fixed_point(age: float, p_male: float, frames: int, time_constant: float) -> None:
    for out in feed(Smoother(time_constant), [face(age, p_male)] * frames):
        assert out.age[0] == np.float32(age)
        assert out.p_male[0] == pytest.approx(p_male, abs=1.1e-4 if abs(p_male - 0.5) < 1e-4 else 1e-6)
        assert out.age_std[0] == 7.0


@given(AGES, AGES, CHANCES, CHANCES)
@settings(max_examples=30, deadline=None)
def test_output_stays_between_the_extremes(a: float, b: float, p: float, q: float) -> None:
    for out in feed(Smoother(), [face(a, p), face(b, q)] * 10):
        assert min(a, b) - 1e-4 <= out.age[0] <= max(a, b) + 1e-4
        assert 0.0 <= out.p_male[0] <= 1.0


@pytest.mark.parametrize("time_constant", [0.5, 2.0])
def test_new_evidence_overtakes_the_old_within_a_few_time_constants(time_constant: float) -> None:
    smoother = Smoother(time_constant)
    feed(smoother, [face(60, 0.95)] * round(25 * 8 * time_constant))
    after = feed(smoother, [face(20, 0.05)] * round(25 * 4 * time_constant), start=8 * time_constant)
    ages = [out.age[0] for out in after]
    assert ages[0] > 55
    assert ages[round(25 * 1.5 * time_constant)] < 35
    assert ages[-1] < 21
    assert after[0].p_male[0] > 0.5
    assert after[-1].p_male[0] < 0.1


def test_the_frame_rate_does_not_matter() -> None:
    def signal(time: float) -> Faces:
        return face(40 + 15 * np.sin(time), 0.5 + 0.4 * np.cos(0.7 * time))

    ends = []
    for fps in (10, 30, 60):
        outputs = feed(Smoother(2.0), [signal(index / fps) for index in range(6 * fps + 1)], fps=fps)
        ends.append((outputs[-1].age[0], outputs[-1].p_male[0]))
    assert np.ptp([age for age, _ in ends]) < 1.0
    assert np.ptp([p_male for _, p_male in ends]) < 0.02


def test_an_outlier_hardly_moves_the_age() -> None:
    rng = np.random.default_rng(3)
    ages = rng.normal(30, 2, 50)
    steady = feed(Smoother(), [face(age, 0.9) for age in ages])[-1].age[0]
    ages[[20, 35, 48, 49]] = 95
    disturbed = feed(Smoother(), [face(age, 0.9) for age in ages])[-1].age[0]
    assert abs(disturbed - steady) < 1.5


def test_a_coasted_frame_shows_the_track_and_adds_nothing() -> None:
    pattern = [face(30, 0.8), face(36, 0.4), face(27, 0.9)] * 5
    plain, mixed = Smoother(), Smoother()
    for index, each in enumerate(pattern):
        one = plain(FRAME, each.with_columns(time=index * 0.2))
        two = mixed(FRAME, each.with_columns(time=index * 0.2))
        between = mixed(FRAME, coasted().with_columns(time=index * 0.2 + 0.1))
        np.testing.assert_array_equal(one.age, two.age)
        np.testing.assert_array_equal(one.p_male, two.p_male)
        np.testing.assert_array_equal(between.age, two.age)
        np.testing.assert_array_equal(between.p_male, two.p_male)


def test_a_coasted_track_without_evidence_stays_unknown() -> None:
    out = Smoother()(FRAME, coasted(5).with_columns(time=0.0))
    assert np.isnan(out.age).all()
    assert np.isnan(out.p_male).all()


@pytest.mark.parametrize("known", ["age", "p_male"])
def test_a_model_that_knows_one_of_both_is_smoothed_in_that(known: str) -> None:
    both = [face(30, 0.8), face(36, 0.4), face(27, 0.9)] * 5
    unknown = {"age": {"p_male": None}, "p_male": {"age": None, "age_std": None}}[known]
    want = feed(Smoother(), both)[-1]
    found = feed(Smoother(), [one.with_columns(**unknown) for one in both])[-1]
    np.testing.assert_array_equal(getattr(found, known), getattr(want, known))
    for name in unknown:
        assert np.isnan(getattr(found, name)).all()


def test_gender_has_hysteresis() -> None:
    smoother = Smoother(time_constant=0.01, hysteresis=0.1)
    shown = [out.p_male[0] >= 0.5 for out in feed(smoother, [face(30, p) for p in (0.7, 0.45, 0.42, 0.3, 0.55, 0.65)])]
    assert shown == [True, True, True, False, False, True]


def bounded(age: float, below: float, above: float, side: float = 96.0) -> Faces:
    return face(age, 0.9, side=side).with_columns(age_interval=np.array([[age - below, age + above]], np.float32))


def test_the_interval_keeps_its_mean_width_about_the_smoothed_age() -> None:
    for out in feed(Smoother(), [bounded(30, 8, 12)] * 5):
        assert tuple(out.age_interval[0]) == (22, 42)
    out = feed(Smoother(), [bounded(30, 5, 5), bounded(30, 15, 25)] * 50, fps=1000)[-1]
    assert tuple(out.age_interval[0]) == (pytest.approx(20, abs=0.1), pytest.approx(45, abs=0.1))
    young = feed(Smoother(), [bounded(2, 2, 4), bounded(9, 9, 4)] * 20)[-1]
    assert young.age_interval[0, 0] >= 0


def test_a_coasted_face_takes_its_tracks_interval() -> None:
    smoother = Smoother()
    feed(smoother, [bounded(30, 8, 12)] * 5)
    out = smoother(FRAME, coasted().with_columns(time=1.0))
    assert tuple(out.age_interval[0]) == (22, 42)
    assert smoother(FRAME, coasted(track_id=9).with_columns(time=1.1)).age_interval is None


def test_without_intervals_none_are_made_up() -> None:
    out = feed(Smoother(), [face(30, 0.9)] * 3)[-1]
    assert out.age_interval is None


def test_small_and_turned_faces_count_less() -> None:
    small = feed(Smoother(), [face(20, 0.9, side=96), face(24, 0.9, side=10)] * 10)[-1].age[0]
    equal = feed(Smoother(), [face(20, 0.9, side=96), face(24, 0.9, side=96)] * 10)[-1].age[0]
    assert 20 < small < 21 < equal < 23


def test_tracks_do_not_mix_and_order_is_kept() -> None:
    smoother = Smoother()
    first, second = face(20, 0.1, track_id=1), face(70, 0.9, track_id=2)

    def both(a: Faces, b: Faces) -> Faces:
        names = ("xyxy", "score", "age", "age_std", "p_male", "track_id")
        return Faces(**{name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in names})

    feed(smoother, [both(first, second)] * 5)
    out = smoother(FRAME, both(second, first).with_columns(time=1.0))
    np.testing.assert_array_equal(out.age, column(70, 20))
    np.testing.assert_array_equal(out.track_id, [2, 1])


def test_a_face_without_a_track_passes_as_it_is() -> None:
    smoother = Smoother()
    for age in (20, 40, 80):
        out = smoother(FRAME, face(age, 0.3, track_id=-1).with_columns(time=0.0))
        assert out.age[0] == age
        assert out.p_male[0] == np.float32(0.3)


def test_faces_that_were_never_tracked_come_back_untouched() -> None:
    faces = Faces(xyxy=column(0, 0, 9, 9)[None], age=column(33))
    assert Smoother()(FRAME, faces) is faces
    assert len(Smoother()(FRAME, Faces.empty().with_columns(time=0.0))) == 0


def test_the_input_is_not_changed() -> None:
    smoother = Smoother()
    feed(smoother, [face(60, 0.9)] * 5)
    faces = face(20, 0.2)
    out = smoother(FRAME, faces.with_columns(time=1.0))
    assert faces.age[0] == 20
    assert faces.p_male[0] == np.float32(0.2)
    assert out.age[0] > 50


@pytest.mark.slow
def test_memory_is_bounded_and_lost_tracks_are_forgotten() -> None:
    smoother = Smoother(time_constant=1.0, forget_after=2.0)
    for index in range(3000):
        smoother(FRAME, face(30, 0.5, track_id=index // 10).with_columns(time=index / 100))
    assert len(smoother._tracks) <= 21
    long = Smoother(time_constant=1.0)
    feed(long, [face(30, 0.5)] * 3000, fps=100)
    assert len(long._tracks[1].evidence) <= 512
    smoother(FRAME, Faces.empty(time=100.0))
    assert not smoother._tracks


def test_time_must_not_go_back_until_reset() -> None:
    smoother = Smoother()
    smoother(FRAME, Faces.empty(time=2.0))
    with pytest.raises(ValueError, match=r"got 1\.0 after 2\.0"):
        smoother(FRAME, Faces.empty(time=1.0))
    with pytest.raises(ValueError, match="finite"):
        smoother(FRAME, Faces.empty(time=float("nan")))
    feed(smoother, [face(80, 0.9)], start=3.0)
    smoother.reset()
    assert feed(smoother, [face(20, 0.1)])[0].age[0] == 20


def test_the_former_way_to_tell_the_time_works_and_says_what_it_is_now() -> None:
    told, carried = Smoother(), Smoother()
    feed(carried, [face(60, 0.9)])
    with pytest.warns(DeprecationWarning, match=r"the record has the time, Faces\(\.\.\., time=time\)"):
        told.at(0.0)(FRAME, face(60, 0.9))
    with pytest.warns(DeprecationWarning, match="no longer needed"):
        found = told.at(3.0)(FRAME, face(20, 0.1))
    want = carried(FRAME, face(20, 0.1).with_columns(time=3.0))
    np.testing.assert_array_equal(found.age, want.age)


@pytest.mark.parametrize(
    "options", [{"time_constant": 0.0}, {"time_constant": np.inf}, {"hysteresis": 0.5}, {"forget_after": -1.0}]
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must"):
        Smoother(**options)


@given(st.lists(st.tuples(AGES, st.floats(0.01, 1)), min_size=1, max_size=40))
def test_robust_mean_lies_within_its_values(pairs: list[tuple[float, float]]) -> None:
    values, weights = np.array(pairs).T
    assert values.min() - 1e-9 <= robust_mean(values, weights) <= values.max() + 1e-9


@given(st.lists(AGES, min_size=1, max_size=20), st.floats(-50, 50))
def test_robust_mean_moves_with_its_values(values: list[float], shift: float) -> None:
    array, weights = np.array(values), np.ones(len(values))
    assert robust_mean(array + shift, weights) == pytest.approx(robust_mean(array, weights) + shift, abs=1e-6)


@pytest.mark.parametrize(("fps", "frames"), [(2, 3), (25, 30)])
@pytest.mark.parametrize(("age", "p_male"), [(60, 0.1), (30, 0.95)])
def test_values_begin_anew_where_a_track_goes_over_to_another_person(
    fps: int, frames: int, age: float, p_male: float
) -> None:
    smoother = Smoother()
    feed(smoother, [face(30, 0.1)] * 10 * fps, fps)
    after = feed(smoother, [face(age, p_male)] * (frames + 1), fps, start=10)
    assert after[frames - 2].age[0] < 45
    assert after[frames - 2].p_male[0] < 0.5
    assert after[-1].age[0] == pytest.approx(age, abs=0.5)
    assert after[-1].p_male[0] == pytest.approx(p_male, abs=0.01)


def test_blurred_or_mixed_looks_are_no_other_person() -> None:
    def after(faces: list[Faces]) -> Faces:
        smoother = Smoother()
        feed(smoother, [face(30, 0.1)] * 20, 2)
        return feed(smoother, faces, 2, start=10)[-1]

    assert after([face(60, 0.9, side=20)] * 3).age[0] < 40
    assert after([face(60, 0.9), face(30, 0.1), face(60, 0.9)]).age[0] < 45
    assert after([face(60, 0.9)] * 2).p_male[0] < 0.5
