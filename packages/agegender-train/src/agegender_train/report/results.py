"""Evaluations and comparisons as they are stored in metrics.json and in predictions.parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from agegender_core.decoding import Prediction
from agegender_core.model_file import from_metadata, value_of
from agegender_train.evaluation import Evaluation
from agegender_train.metrics import BETTER, Comparison, Outcomes, compare
from agegender_train.store.labels import Labels

_WRONG_IF_NOT_FOUND = {"cs5": "n_age", "group_exact": "n_age", "gender_accuracy": "n_gender"}
_TRAITS = ("face", "box_from", "score", "size", "turn", "sharpness")


def result_of(evaluation: Evaluation) -> dict[str, Any]:
    """The entry of one model on one test set in metrics.json: names, data, and the figures of `metrics.estimate`."""
    figures, description = evaluation.metrics, from_metadata(evaluation.metadata or {})
    faces = len(evaluation.outcomes) + len(evaluation.failures)
    missed = (evaluation.not_found or 0) + len(evaluation.failures)
    return {
        "model": evaluation.model,
        "test_set": evaluation.test_set,
        "part": evaluation.part,
        "fingerprint": evaluation.store.fingerprint,
        "pictures": evaluation.store.description.get("pictures"),
        "not_found": evaluation.not_found,
        "failures": [failure._asdict() for failure in evaluation.failures],
        "realigned": evaluation.realigned,
        "ms_per_face": 1e3 * evaluation.seconds / faces,
        "licence": description.get("licence"),
        "training": value_of(description, "training"),
        "preprocess": value_of(description, "preprocess"),
        "untrained": [
            head for head, column in (("age", evaluation.age), ("gender", evaluation.p_male)) if column is None
        ],
        "with_not_found": with_not_found(figures, missed),
        **figures,
    }


def with_not_found(figures: Mapping[str, Any], missed: int) -> dict[str, Any]:
    """Accuracies where every picture without a face, and every face without an answer, counts as wrong.

    Leaving out what a system can't do flatters it. An error in years has no such value, as there is no age to take.

    Args:
        figures: of the faces that were predicted.
        missed: pictures without a face, and faces without an answer.
    """
    shares = {
        name: figures[name] * figures[count] / (figures[count] + missed)
        for name, count in _WRONG_IF_NOT_FOUND.items()
        if figures.get(name) is not None and figures[count]
    }
    return {"n": figures["n"] + missed, **shares}


def compared(by_test_set: Mapping[str, Mapping[str, Outcomes]], rounds: int) -> list[dict[str, Any]]:
    """The comparisons in metrics.json, one for each test set that two or more models were tested on."""
    found = []
    for test_set, models in by_test_set.items():
        if len(models) < 2:
            continue
        comparison = compare(models, rounds)
        found.append(
            {
                "test_set": test_set,
                "n": comparison.n,
                "ranks": {name: ranks for name in BETTER if (ranks := _ranks(comparison, name))},
                "pairs": [
                    _pair(comparison, first, second)
                    for place, first in enumerate(models)
                    for second in list(models)[place + 1 :]
                ],
            }
        )
    return found


def _ranks(comparison: Comparison, figure: str) -> list[dict[str, Any]]:
    return [{"model": model, "rank": rank} for model, rank in comparison.ranks(figure)]


def _pair(comparison: Comparison, first: str, second: str) -> dict[str, Any]:
    gains = {
        name: {"gain": one.gain, "interval": None if one.interval is None else list(one.interval)}
        for name, one in comparison.between(first, second).items()
    }
    return {"first": first, "second": second, "gains": gains}


def predictions_table(evaluation: Evaluation) -> pa.Table:
    """One row for each face: label, prediction and traits; missing values are null."""
    outcomes = evaluation.outcomes
    labels, prediction, traits, n = outcomes.labels, outcomes.prediction, outcomes.traits, len(outcomes)
    low, high = (None, None) if prediction.age_interval is None else prediction.age_interval.T
    no_age, no_gender = np.isnan(labels.age_low), labels.gender < 0

    def floats(column: Any) -> pa.Array:
        return pa.nulls(n, pa.float32()) if column is None else pa.array(column, pa.float32())

    columns = {
        "model": pa.array([evaluation.model] * n, pa.string()).dictionary_encode(),
        "test_set": pa.array([evaluation.test_set] * n, pa.string()).dictionary_encode(),
        "key": pa.array(labels.key, pa.string()),
        "face": pa.array(traits["face"], pa.int16()),
        "group": pa.array(labels.group, pa.string()),
        "subject": pa.array(labels.subject, pa.string()),
        "age_low": pa.array(labels.age_low, mask=no_age),
        "age_high": pa.array(labels.age_high, mask=no_age),
        "gender": pa.array(labels.gender, mask=no_gender),
        "age": floats(prediction.age),
        "age_std": floats(prediction.age_std),
        "p_male": floats(prediction.p_male),
        "age_interval_low": floats(low),
        "age_interval_high": floats(high),
        "box_from": pa.array(traits["box_from"], pa.string()),
    }
    for name in ("score", "size", "turn", "sharpness"):
        columns[name] = pa.array(traits[name].astype(np.float32), from_pandas=True)
    return pa.table(columns)


def outcomes_of(table: pa.Table) -> Outcomes:
    """The outcomes of one model on one test set, from its rows of predictions.parquet; `age_probs` are not stored."""
    columns = table.to_pydict()
    n = table.num_rows
    labels = Labels.from_columns(
        **{name: columns[name] for name in ("age_low", "age_high", "gender", "group", "subject", "key")},
        split=[None] * n,
    )

    def floats(name: str) -> Any:
        return np.array([np.nan if value is None else value for value in columns[name]], np.float32)

    ends = ("age_interval_low", "age_interval_high")
    if ends[0] not in columns:
        ends = ("interval_low", "interval_high")  # in reports up to 0.1

    def predicted(name: str) -> Any:
        # A model gives a column for all of its faces, or for none.
        return floats(name) if n > 0 and columns[name][0] is not None else None

    low, high = (predicted(end) for end in ends)
    interval = None if low is None or high is None else np.stack([low, high], axis=1)
    prediction = Prediction(predicted("age"), predicted("age_std"), predicted("p_male"), None, interval)
    box_from = np.empty(n, np.object_)
    box_from[:] = columns["box_from"]
    traits: dict[str, Any] = {"face": np.array(columns["face"], np.int16), "box_from": box_from}
    traits |= {name: floats(name).astype(np.float64) for name in _TRAITS[2:]}
    return Outcomes.from_batch(prediction, labels, traits)


def by_test_set(named: Sequence[tuple[str, str, Outcomes]]) -> dict[str, dict[str, Outcomes]]:
    """Groups rows (model, test set, outcomes) by test set and model.

    Raises:
        ValueError: a test set has two models of the same name.
    """
    found: dict[str, dict[str, Outcomes]] = {}
    for model, test_set, outcomes in named:
        models = found.setdefault(test_set, {})
        if model in models:
            raise ValueError(f"two models are called {model} on {test_set}; give them different names")
        models[model] = outcomes
    return found
