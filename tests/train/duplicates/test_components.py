from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agegender_train.duplicates.components import connected_components


@settings(deadline=None)
@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_those_of_a_plain_search(graph: tuple[int, list[tuple[int, int]]]) -> None:
    n, pairs = graph
    near = {row: {row} for row in range(n)}
    for a, b in pairs:
        near[a].add(b)
        near[b].add(a)
    expected = []
    for row in range(n):
        reached, edge = {row}, [row]
        while edge:
            edge = [other for at in edge for other in near[at] - reached]
            reached |= set(edge)
        expected.append(min(reached))
    assert connected_components(n, pairs=pairs).tolist() == expected


def test_a_column_of_another_length_is_named() -> None:
    with pytest.raises(ValueError, match=r"same must hold columns of 2 values, got one of 1"):
        connected_components(2, [["a"]])
