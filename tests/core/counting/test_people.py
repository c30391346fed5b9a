"""Tracks that go on under another id after a short loss, and those that don't."""

from __future__ import annotations

import pytest

from agegender_core.counting import PersonLinker

from .seen import faces_at


def test_a_track_near_the_lost_one_is_the_same_person() -> None:
    linker = PersonLinker(window=2)
    for step in range(10):
        linker.update(faces_at([(1, 100 + 4 * step, 50)], time=step / 10))
    # Lost for a second at 40 pixels a second.
    linker.update(faces_at([], time=1.5))
    (person,), over = linker.update(faces_at([(7, 178, 50)], time=1.9))
    assert (person.number, person.track_id, person.first_seen, over) == (1, 7, 0.0, [])


@pytest.mark.parametrize(
    ("place", "time", "p_male"), [((300, 50), 1.0, 0.9), ((100, 50), 3.1, 0.9), ((100, 50), 1.0, 0.1)]
)
def test_who_is_far_or_late_or_of_the_other_gender_is_new(
    place: tuple[float, float], time: float, p_male: float
) -> None:
    linker = PersonLinker(window=2)
    linker.update(faces_at([(1, 100, 50)], time=0.0, p_male=0.9))
    linker.update(faces_at([(1, 100, 50)], time=0.5, p_male=0.9))
    (person,), _ = linker.update(faces_at([(2, *place)], time=time, p_male=p_male))
    assert person.number == 2


def test_a_gender_that_is_unsure_contradicts_nobody() -> None:
    linker = PersonLinker()
    linker.update(faces_at([(1, 100, 50)], p_male=0.9))
    (person,), _ = linker.update(faces_at([(2, 100, 50)], time=0.5, p_male=0.4))
    assert person.number == 1


def test_nobody_takes_over_from_who_is_still_seen() -> None:
    linker = PersonLinker()
    linker.update(faces_at([(1, 100, 50)]))
    seen, _ = linker.update(faces_at([(1, 100, 50), (2, 102, 50)], time=0.1))
    assert [person.number for person in seen] == [1, 2]


def test_the_nearest_pairs_come_first() -> None:
    linker = PersonLinker()
    linker.update(faces_at([(1, 100, 50), (2, 112, 50)]))
    seen, _ = linker.update(faces_at([(4, 114, 50), (3, 105, 50)], time=0.3))
    assert [(person.number, person.track_id) for person in seen] == [(2, 4), (1, 3)]


def test_a_window_of_zero_takes_each_track_for_a_person() -> None:
    linker = PersonLinker(window=0)
    linker.update(faces_at([(1, 100, 50)]))
    (other,), _ = linker.update(faces_at([(2, 100, 50)], time=0.1))
    (first,), _ = linker.update(faces_at([(1, 100, 50)], time=0.2))
    assert (other.number, first.number) == (2, 1)
    _, over = linker.update(faces_at([], time=5.15))
    assert [person.number for person in over] == [2]


def test_a_tracker_that_waits_longer_than_the_window_is_believed() -> None:
    linker = PersonLinker(window=1)
    linker.update(faces_at([(1, 100, 50)]))
    (person,), over = linker.update(faces_at([(1, 300, 50)], time=5))
    assert (person.number, over) == (1, [])


def test_persons_are_forgotten() -> None:
    linker = PersonLinker(window=1, over_after=1)
    for step in range(2000):
        linker.update(faces_at([(step + 1, 50 * (step % 7), 50)], time=2.0 * step))
    assert len(linker.finish()) == 1
    assert linker.finish() == []


def test_answers_stay_while_they_are_not_known() -> None:
    linker = PersonLinker()
    linker.update(faces_at([(1, 100, 50)], age=30, p_male=0.25))
    (person,), _ = linker.update(faces_at([(1, 100, 50)], time=0.1))
    assert (person.age, person.age_interval, person.p_male) == (30, (22, 38), 0.25)


@pytest.mark.parametrize("wrong", [{"window": -1}, {"window": float("nan")}, {"reach": 0}, {"over_after": 1}])
def test_wrong_settings(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PersonLinker(**wrong)
