"""Runs a model on a store's faces and keeps predictions, failures and figures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from agegender_core.onnx_runtime import runtime_reason
from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec
from agegender_train.evaluation.cutting import realigned, require_same_cut
from agegender_train.evaluation.traits import sharpness, store_traits
from agegender_train.metrics import Outcomes, estimate
from agegender_train.metrics.resampling import ROUNDS
from agegender_train.store import Store
from agegender_train.store.labels import Labels

Floats = npt.NDArray[np.float32]
Chips = npt.NDArray[np.uint8]


class ChipPredictor(Protocol):
    """A predictor that can be evaluated: `agegender_core.Predictor`, or anything with these three members."""

    @property
    def name(self) -> str:
        """The model's name in the report."""

    @property
    def spec(self) -> PreprocessSpec:
        """How its chips are cut."""

    def predict_chips(self, chips: Chips) -> Prediction:
        """Ages and genders of uint8 (n, S, S, 3)."""


class Failure(NamedTuple):
    """A face without a prediction.

    Attributes:
        key: the picture's.
        face: its number within the picture.
        reason: in words.
    """

    key: str
    face: int
    reason: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One model on one store.

    Attributes:
        model: the model's name.
        store: the store.
        test_set: the store's name in the report.
        outcomes: predictions and labels of the n faces with a prediction.
        rows: int64 (n,), their rows in the store.
        failures: the other faces.
        seconds: time of the model for all faces, preprocessing included.
        part: which faces of the store were used, in words; ``None`` for all.
        realigned: whether the chips were cut again for this model.
        metadata: of the model's file; empty for a model without one.
        rounds: draws of the bootstrap behind the intervals of `metrics`.
    """

    model: str
    store: Store
    test_set: str
    outcomes: Outcomes
    rows: npt.NDArray[np.int64]
    failures: tuple[Failure, ...]
    seconds: float
    part: str | None = None
    realigned: bool = False
    metadata: dict[str, str] | None = None
    rounds: int = ROUNDS

    @property
    def labels(self) -> Labels:
        """The labels of the faces."""
        return self.outcomes.labels

    @property
    def age(self) -> Floats | None:
        """float32 (n,), predicted years; ``None`` from a model that has not learned ages."""
        return self.outcomes.prediction.age

    @property
    def p_male(self) -> Floats | None:
        """float32 (n,), in [0, 1]; ``None`` from a model that has not learned genders."""
        return self.outcomes.prediction.p_male

    @property
    def not_found(self) -> int | None:
        """How many pictures of the dataset no face was found in; ``None`` where a part of it was taken, or unknown."""
        audit = self.store.path / "audit.json"
        if self.part is not None or not audit.exists():
            return None
        return int(json.loads(audit.read_bytes()).get("rejected", {}).get("no face", 0))

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The figures; see `metrics.estimate`."""
        return estimate(self.outcomes, self.rounds)


def evaluate(
    predictor: ChipPredictor,
    store: Store,
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
    rows: npt.NDArray[np.int64] | None = None,
    part: str | None = None,
    realign: bool = False,
    rounds: int = ROUNDS,
    name: str | None = None,
    test_set: str | None = None,
) -> Evaluation:
    """Predicts the faces of a store and compares the predictions with the labels.

    A face for which the model raises an error or returns a number that isn't finite is a `Failure`; the others go on.

    Args:
        predictor: the model.
        store: cut as the model's spec says.
        batch_size: faces a call of the model.
        progress: called with the number of faces done and of all.
        rows: the faces to take, int64; all when ``None``.
        part: their name in the report.
        realign: accept a store of another size or margin and cut its chips again; see `realigned`.
        rounds: draws of the bootstrap; 0 for figures without intervals.
        name: the model's name in the report, instead of its own.
        test_set: the store's name there, instead of its dataset's.

    Raises:
        ValueError: the store's chips are of another size or padding than the model wants, there is no face, or the
            model fails on all of them.
    """
    spec = predictor.spec
    fits = (store.chip_size, store.chip_padding) == (spec.chip_size, spec.chip_padding)
    if not realign:
        require_same_cut(predictor, store)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    rows = np.arange(len(store)) if rows is None else rows
    if not len(rows):
        raise ValueError(f"the store {store.name} holds no face{f' in {part}' if part else ''}")
    labels, traits = store.labels()[rows], store_traits(store, rows)
    found: list[tuple[npt.NDArray[np.int64], Prediction]] = []
    reasons: dict[int, str] = {}
    sharp: list[npt.NDArray[np.float64]] = []
    seconds, done = 0.0, 0
    for chips, focus in _chips(store, rows, batch_size):
        if not fits:
            chips = realigned(chips, store.chip_padding, spec.chip_size, spec.chip_padding)
        sharp.append(focus)
        begun = time.perf_counter()
        for places, answer in _answers(predictor, chips, np.arange(done, done + len(chips))):
            if isinstance(answer, str):
                reasons |= dict.fromkeys(places.tolist(), answer)
            else:
                found.append((places, answer))
        seconds += time.perf_counter() - begun
        done += len(chips)
        if progress is not None:
            progress(done, len(rows))
    if not found:
        raise ValueError(f"{predictor.name} fails on each of the {len(rows)} faces of {store.name}: {reasons[0]}")
    traits["sharpness"] = np.concatenate(sharp)
    parts = [
        Outcomes.from_batch(answer, labels[places], {name: column[places] for name, column in traits.items()})
        for places, answer in found
    ]
    failures = (Failure(str(labels.key[place]), int(traits["face"][place]), why) for place, why in reasons.items())
    return Evaluation(
        name or predictor.name,
        store,
        test_set or store.name,
        parts[0].merge(*parts[1:]),
        rows[np.concatenate([places for places, _ in found])],
        tuple(failures),
        seconds,
        part,
        not fits,
        dict(getattr(predictor, "metadata", {})),
        rounds,
    )


def _answers(
    predictor: ChipPredictor, chips: Chips, places: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.int64], Prediction | str]]:
    """The predictions of chips by parts, or why there is none; a batch with an error is halved until it is found."""
    try:
        prediction = predictor.predict_chips(chips)
    except Exception as error:
        # A third-party model may raise anything.
        if len(chips) == 1:
            yield places, f"{type(error).__name__}: {runtime_reason(error)}"
            return
        half = len(chips) // 2
        yield from _answers(predictor, chips[:half], places[:half])
        yield from _answers(predictor, chips[half:], places[half:])
        return
    columns = {entry.name: getattr(prediction, entry.name) for entry in fields(Prediction)}
    sound = np.ones(len(chips), bool)
    for column in columns.values():
        if column is not None:
            sound &= np.isfinite(column).reshape(len(chips), -1).all(axis=1)
    if not sound.all():
        yield places[~sound], "the model's answer is not finite"
    if sound.any():
        kept: dict[str, Any] = {name: None if column is None else column[sound] for name, column in columns.items()}
        yield places[sound], Prediction(**kept)


def _chips(
    store: Store, rows: npt.NDArray[np.int64], batch_size: int
) -> Iterator[tuple[Chips, npt.NDArray[np.float64]]]:
    """The chips of `rows` by batches, and their sharpness; a thread decodes the next batch meanwhile."""

    def decoded(start: int) -> tuple[Chips, npt.NDArray[np.float64]]:
        chips = store.decode(rows[start : start + batch_size])
        return chips, sharpness(chips)

    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        pending = None
        for start in range(0, len(rows), batch_size):
            following = pool.submit(decoded, start)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()
