"""A calibrated copy of a model file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from agegender_core.decoding import Decoder
from agegender_core.files import write_bytes
from agegender_core.model_file import Flip, calibrated, from_metadata, heads_of, to_metadata
from agegender_core.predict import load_predictor
from agegender_train.calibration.heads import LEAST_FACES, LEVEL, Heads, calibrated_heads
from agegender_train.evaluation import require_same_cut
from agegender_train.metrics import Scores
from agegender_train.store import Store
from agegender_train.store.labels import Labels


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration found.

    Attributes:
        path: the calibrated model file.
        heads: its heads.
        before: figures of the model as it was on the faces of the calibration; see `metrics.Scores.compute`.
        after: figures of the calibrated model on the same faces: it was fitted to them, so they flatter it a little.
    """

    path: Path
    heads: Heads
    before: dict[str, Any]
    after: dict[str, Any]


def calibrate_model(
    path: str | os.PathLike[str],
    stores: Sequence[Store],
    out: str | os.PathLike[str],
    *,
    rows: Sequence[npt.NDArray[np.int64]] | None = None,
    level: float = LEVEL,
    correct: bool = False,
    stretch: bool = False,
    flip: Flip | None = None,
    batch_size: int = 256,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> CalibrationResult:
    """Writes a copy of a model file whose uncertainty was calibrated on stores kept aside.

    The network itself stays as it is; the metadata ``agegender.heads`` and ``agegender.flip`` change, and
    ``agegender.calibration`` tells on what it was done: {"data": names and numbers of faces, "n_age", "n_gender",
    "level"}.

    Args:
        path: a model file.
        stores: none of whose faces the model has seen in training; cut as its spec says.
        out: the copy; written as a whole or not at all. May be `path`.
        rows: for each store the faces to take; all when ``None``.
        level: the probability with which the interval holds the true age, in (0, 1).
        correct: see `calibrated_heads`.
        stretch: see `calibrated_heads`.
        flip: see `load_predictor`; the copy's file asks for what was done here.
        batch_size: faces a call of the model.
        threads: threads of the model.
        progress: called with the number of faces done and of all.

    Raises:
        FileNotFoundError: there is no such model file.
        ModelFileError: `path` is no model file.
        ValueError: a store is cut otherwise, or fewer than 100 faces have an age and fewer than 100 a gender.
        OSError: `out` can't be written.
    """
    predictor = load_predictor(path, threads=threads, flip=flip)
    for store in stores:
        require_same_cut(predictor, store)
    picked = [np.arange(len(store)) for store in stores] if rows is None else list(rows)
    labels = Labels.concatenate([store.labels()[of] for store, of in zip(stores, picked, strict=True)])
    known = {"n_age": int((~np.isnan(labels.age_low)).sum()), "n_gender": int((labels.gender >= 0).sum())}
    learned = {f"n_{head}": head for head in ("age", "gender") if head not in predictor.untrained}
    if max(known[count] for count in learned) < LEAST_FACES:
        needed = " or with ".join(f"{'an' if head == 'age' else 'a'} {head}" for head in learned.values())
        found = " and ".join(str(known[count]) for count in learned)
        raise ValueError(f"a calibration needs {LEAST_FACES} faces with {needed}, got {found}")
    parts: list[dict[str, npt.NDArray[np.float32]]] = []
    done = 0
    for store, of in zip(stores, picked, strict=True):
        for start in range(0, len(of), batch_size):
            parts.append(predictor.raw_outputs(store.decode(of[start : start + batch_size])))
            done += len(of[start : start + batch_size])
            if progress is not None:
                progress(done, len(labels))
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    old = heads_of(from_metadata(predictor.metadata))
    heads = calibrated_heads(old, outputs, labels, level, correct, stretch)
    data = [f"{store.name} ({len(of)} faces)" for store, of in zip(stores, picked, strict=True)]
    _write(predictor.path, Path(out), heads, predictor.flip, {"data": data, **known, "level": level})
    before, after = (Scores.from_prediction(Decoder(made)(outputs), labels).compute() for made in (old, heads))
    return CalibrationResult(Path(out), heads, before, after)


def _write(path: Path, out: Path, heads: Heads, flip: Flip, about: dict[str, Any]) -> None:
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    description = calibrated(from_metadata(metadata), heads, flip, about)
    # Other programs' metadata stay.
    helper.set_model_props(model, {**metadata, **to_metadata(description)})
    write_bytes(out, model.SerializeToString())
