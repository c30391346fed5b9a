"""Other libraries beside ours: a ratio where the outputs are equal, and none where they differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agegender_core.benchmark import Comparison, PeerUnavailableError, Sides, compare_with_peers, known_peers
from agegender_core.benchmark.peer_trackers import _same_tracks


def compared(theirs: Any, module: str = "numpy", make: Any = None) -> dict[str, Any]:
    """The row of a peer that gives `theirs`, where ours gives 1."""

    def sides() -> Sides:
        return Sides(
            lambda: 1, lambda: theirs, lambda ours, other: "" if ours == other else f"{other} instead of {ours}"
        )

    comparison = Comparison("count", "a peer", module, "the same number", make or sides)
    report = compare_with_peers([comparison], 0)
    assert report["machine"]["cpu"]
    (row,) = report["rows"]
    return row


def test_an_equal_peer_has_a_ratio() -> None:
    row = compared(1)
    assert (row["status"], row["equal"], row["output"]) == ("compared", True, "the same number")
    assert row["version"] == np.__version__
    assert 0 < row["ratio"]["p10"] <= row["ratio"]["median"] <= row["ratio"]["p90"]
    assert row["ours"]["runs"] >= 3
    assert row["theirs"]["median_ms"] > 0


def test_a_peer_whose_output_differs_has_times_and_no_ratio() -> None:
    row = compared(2)
    assert (row["status"], row["equal"], row["output"]) == ("compared", False, "differs: 2 instead of 1")
    assert row["ratio"] is None
    assert row["theirs"]["median_ms"] > 0


def test_a_peer_that_is_not_there_or_fails_is_named_and_ends_nothing() -> None:
    row = compared(1, module="no_such_module")
    assert (row["status"], row["reason"]) == ("absent", "no_such_module isn't installed")
    assert row["ratio"] is row["ours"] is row["theirs"] is None

    def lacking() -> Sides:
        raise PeerUnavailableError("its weights aren't here")

    row = compared(1, make=lacking)
    assert (row["status"], row["reason"]) == ("absent", "its weights aren't here")

    def broken() -> Sides:
        raise TypeError("of another version")

    row = compared(1, make=broken)
    assert (row["status"], row["reason"]) == ("failed", "TypeError: of another version")


def test_tracks_are_the_same_by_any_number() -> None:
    ours = [np.array([1, 2])] * 20
    assert _same_tracks(ours, [np.array([7, 5])] * 20) == ""
    # Who shows a track later than SORT does is no other tracker for that.
    assert _same_tracks(ours, [np.array([-1, -1])] * 3 + [np.array([7, 5])] * 17) == ""
    assert _same_tracks(ours, [np.array([7, 5])] * 15 + [np.array([5, 7])] * 5) != ""
    assert _same_tracks(ours, [np.array([7, 7])] * 20) == "1 tracks of theirs, 2 of ours"
    assert _same_tracks(ours, [np.array([7, 5])] * 15 + [np.array([7, 9])] * 5) == "3 tracks of theirs, 2 of ours"
    assert _same_tracks(ours, [np.array([7, -1])] * 20) != ""


@pytest.mark.parametrize(
    "what", ["decode", "resize", "landmarks", "preprocess", pytest.param("detect", marks=pytest.mark.slow)]
)
def test_the_known_peers_that_are_here_give_the_same(what: str) -> None:
    chosen = [one for one in known_peers() if one.what.startswith(what)]
    rows = compare_with_peers(chosen, 0)["rows"]
    assert rows
    for row in rows:
        assert row["status"] == "compared", row
        assert row["equal"], row
        assert row["ratio"]["median"] > 0


def test_a_detector_that_finds_something_else_would_be_seen() -> None:
    opencvs, onnx_runtimes = (one.make() for one in known_peers() if "YuNet" in one.what)
    ours, theirs = opencvs.ours(), opencvs.theirs()
    assert opencvs.difference(ours, theirs) == ""
    moved = np.array(theirs)
    moved[:, 0] += 1
    assert "by up to 1" in opencvs.difference(ours, moved)
    assert opencvs.difference(ours, theirs[:0]) == "0 of theirs, 1 of ours"

    ours, (boxes, points, scores) = onnx_runtimes.ours(), onnx_runtimes.theirs()
    assert onnx_runtimes.difference(ours, (boxes, points, scores)) == ""
    assert "by up to 0.002" in onnx_runtimes.difference(ours, (boxes, points + np.float32(0.002), scores))
    assert onnx_runtimes.difference(ours, (boxes[:0], points[:0], scores[:0])) == "0 of theirs, 1 of ours"
