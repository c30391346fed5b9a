"""How good a model is on aligned stores. Imports no framework: anything that predicts from chips will do."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from agegender_core.predict import Prediction
from agegender_core.spec import PreprocessSpec
from agegender_train.labels import Labels
from agegender_train.metrics import Scores
from agegender_train.runs import versions
from agegender_train.store import Store, write_atomically

FORMAT = 1


class ChipPredictor(Protocol):
    """What can be evaluated: `agegender_core.Predictor`, or anything with these three."""

    @property
    def name(self) -> str:
        """What the model is called in the report."""

    @property
    def spec(self) -> PreprocessSpec:
        """How its chips are cut."""

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Ages and genders of uint8 (n, S, S, 3)."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One model on one store.

    Attributes:
        model: the model's name.
        store: the store.
        labels: what is known of the n faces.
        age: float32 (n,), predicted years.
        age_std: float32 (n,), years.
        p_male: float32 (n,), in [0, 1].
        metrics: figures; see `metrics.Scores.compute`.
        interval: the ends of the 90 % interval of each age, float32 (n,) years each; ``None`` for a model without it.
        part: which faces of the store these are, in words; ``None`` for all.
    """

    model: str
    store: Store
    labels: Labels
    age: npt.NDArray[np.float32]
    age_std: npt.NDArray[np.float32]
    p_male: npt.NDArray[np.float32]
    metrics: dict[str, Any]
    interval: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None
    part: str | None = None


def evaluate(
    predictor: ChipPredictor,
    store: Store,
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
    rows: npt.NDArray[np.int64] | None = None,
    part: str | None = None,
) -> Evaluation:
    """Predict the faces of a store and compare with their labels.

    Args:
        predictor: the model.
        store: cut as the model's spec says.
        batch_size: faces a call of the model.
        progress: called with the number of faces done and of all.
        rows: the faces to take, int64; all when ``None``.
        part: what to call them in the report.

    Raises:
        ValueError: the store's chips are of another size or padding than the model wants, or there is no face.
    """
    require_same_cut(predictor, store)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    rows = np.arange(len(store)) if rows is None else rows
    if not len(rows):
        raise ValueError(f"the store {store.name} holds no face{f' in {part}' if part else ''}")
    predictions: list[Prediction] = []
    scores, done = Scores(), 0
    labels = store.labels()[rows]
    for chips in _chips(store, rows, batch_size):
        predictions.append(predictor.predict_chips(chips))
        scores = scores.merge(Scores.from_prediction(predictions[-1], labels[done : done + len(chips)]))
        done += len(chips)
        if progress is not None:
            progress(done, len(rows))
    age, age_std, p_male = (
        np.concatenate([getattr(one, name) for one in predictions]) for name in ("age", "age_std", "p_male")
    )
    bounds = [(one.age_low, one.age_high) for one in predictions if one.age_low is not None]
    interval = None
    if bounds:
        interval = np.concatenate([low for low, _ in bounds]), np.concatenate([high for _, high in bounds])
    return Evaluation(predictor.name, store, labels, age, age_std, p_male, scores.compute(), interval, part)


def require_same_cut(predictor: ChipPredictor, store: Store) -> None:
    """Raises ValueError unless the store's chips were cut as the model's spec says."""
    spec, cut = predictor.spec, (store.chip_size, store.chip_padding)
    if cut != (spec.chip_size, spec.chip_padding):
        raise ValueError(
            f"the store {store.name} holds chips of {cut[0]} px with padding {cut[1]}, but {predictor.name} was "
            f"trained on chips of {spec.chip_size} px with padding {spec.chip_padding}, and would fail on others; "
            f"make a store with: agegender preprocess --size {spec.chip_size} --padding {spec.chip_padding}"
        )


def _chips(store: Store, rows: npt.NDArray[np.int64], batch_size: int) -> Iterator[npt.NDArray[np.uint8]]:
    """The chips of `rows` by batches; while one is looked at, a thread decodes the next."""
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        pending = None
        for start in range(0, len(rows), batch_size):
            following = pool.submit(store.decode, rows[start : start + batch_size])
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()


def write_report(evaluations: Sequence[Evaluation], out: str | os.PathLike[str]) -> Path:
    """Writes metrics.json and predictions.parquet into the folder `out`, each as a whole or not at all.

    metrics.json holds under "results" a mapping for each evaluation: model, test_set, the part of it that was taken
    (null: all of it), its fingerprint, the number of pictures that were looked for a face, and the figures of
    `metrics.Scores.compute`.

    Returns:
        `out` as a path.

    Raises:
        OSError: a file can't be written.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    results = [
        {
            "model": evaluation.model,
            "test_set": evaluation.store.name,
            "part": evaluation.part,
            "fingerprint": evaluation.store.fingerprint,
            "pictures": evaluation.store.description.get("pictures"),
            **evaluation.metrics,
        }
        for evaluation in evaluations
    ]
    machine = {"system": platform.platform(), "processor": platform.machine(), "cpus": os.cpu_count()}
    report = {"format": FORMAT, "versions": versions(), "machine": machine, "results": results}
    write_atomically(out / "metrics.json", report)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables([_table(evaluation) for evaluation in evaluations]), sink)
    write_atomically(out / "predictions.parquet", sink.getvalue().to_pybytes())
    return out


def _table(evaluation: Evaluation) -> pa.Table:
    """One row a face: what is known and what was predicted; a missing label is null."""
    labels, n = evaluation.labels, len(evaluation.labels)
    low, high = evaluation.interval or ([None] * n, [None] * n)
    no_age, no_gender = np.isnan(labels.age_low), labels.gender < 0
    return pa.table(
        {
            "model": pa.array([evaluation.model] * n, pa.string()),
            "test_set": pa.array([evaluation.store.name] * n, pa.string()),
            "key": pa.array(labels.key, pa.string()),
            "group": pa.array(labels.group, pa.string()),
            "age_low": pa.array(labels.age_low, mask=no_age),
            "age_high": pa.array(labels.age_high, mask=no_age),
            "gender": pa.array(labels.gender, mask=no_gender),
            "age": pa.array(evaluation.age),
            "age_std": pa.array(evaluation.age_std),
            "p_male": pa.array(evaluation.p_male),
            "interval_low": pa.array(low, pa.float32()),
            "interval_high": pa.array(high, pa.float32()),
        }
    )
