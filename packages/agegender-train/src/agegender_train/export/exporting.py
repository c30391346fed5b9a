"""Exports the network of a run to another format, and checks the file against Keras before it gets its name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agegender_core.preprocess import preprocess
from agegender_train.evaluation import evaluate, require_same_cut
from agegender_train.export.checking import Drift, ExportedPredictor, PrecisionCost, made_chips, milliseconds
from agegender_train.export.formats import Format, Inputs, get_format
from agegender_train.export.formats.onnx import make, use
from agegender_train.export.trained import Trained, read_trained
from agegender_train.store import Store

PRECISIONS = ("fp32", "fp16", "int8")
Progress = Callable[[str, int, int], None]
"""Called with the name of the step, and how much of it is done, of how much."""


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        files: that were written; the first is the one to open.
        size: of all files, bytes.
        format: name of the format.
        precision: "fp32", "fp16" or "int8".
        difference: how far the file is from Keras.
        milliseconds: median time of one face on one thread of this machine's processor.
        changes: what the precision costs on each test set.
    """

    files: list[Path]
    size: int
    format: str
    precision: str
    difference: Drift
    milliseconds: float
    changes: list[PrecisionCost]


def export_run(
    run: str | os.PathLike[str],
    format: str,
    precision: str = "fp32",
    out: str | os.PathLike[str] | None = None,
    *,
    calibration: Store | None = None,
    calibration_faces: int = 300,
    seed: int = 0,
    tests: Sequence[Store] = (),
    progress: Progress | None = None,
) -> Exported:
    """Writes a trained network in another format, or with smaller weights.

    Args:
        run: see `read_trained`.
        format: one of `format_names()`.
        precision: one of `PRECISIONS`, of the weights; "int8" is of the features as well.
        out: path of the file; see `default_path` for ``None``. An existing file is replaced.
        calibration: faces on which int8 measures the ranges of values, of the kind that will be met; for int8 alone.
        calibration_faces: size of the random sample of these.
        seed: of that sample.
        tests: stores on which the file is compared with the fp32 network.
        progress: see `Progress`.

    Raises:
        FileNotFoundError: there is no such run.
        ValueError: the run or the format is unusable, the format has no such precision, a package for it is absent, or
            the file differs from Keras. Nothing is written then.
        OSError: a file can't be written.
    """
    kind = get_format(format)
    if precision not in kind.precisions:
        raise ValueError(f"precision of {format} must be one of {', '.join(kind.precisions)}, got {precision!r}")
    if (precision == "int8") != (calibration is not None):
        needed = "needs a store to take faces from" if precision == "int8" else "is only of use for int8"
        raise ValueError(f"calibration {needed}, got precision {precision} and {calibration or 'none'}")
    path = Path(out) if out is not None else default_path(Path(run), kind, precision)
    if path.suffix != kind.suffix:
        raise ValueError(f"out must end in {kind.suffix}, got {path}")
    if path.exists() and path.samefile(run):
        raise ValueError(f"out must not be the file that is exported, got {path}")
    trained = read_trained(run)
    for store in [*tests, *([calibration] if calibration is not None else [])]:
        require_same_cut(ExportedPredictor(path.name, trained.spec, trained.decoder, trained.outputs), store)
    faces: Inputs | None = None
    about: dict[str, Any] = {"precision": precision}
    if calibration is not None:
        faces = _some_faces(trained, calibration, calibration_faces, seed)
        about["calibration"] = {"store": calibration.name, "faces": len(faces), "seed": seed}
    trained = replace(trained, description={**trained.description, "export": json.dumps(about)})

    draft = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        kind.write(trained, draft / path.name, precision, faces)
        loaded = kind.load(draft / path.name)
        shown = faces[:32] if faces is not None else preprocess(made_chips(trained.spec), trained.spec)
        difference = Drift.between(trained.outputs(shown), loaded(shown), trained.decoder)
        difference.refuse_beyond(precision)
        exported = Exported(
            files=[path.with_suffix(suffix) for suffix in (kind.suffix, *kind.companions)],
            size=sum(file.stat().st_size for file in draft.iterdir()),
            format=format,
            precision=precision,
            difference=difference,
            milliseconds=milliseconds(loaded, shown[:1]),
            changes=_costs(
                trained, ExportedPredictor(path.name, trained.spec, trained.decoder, loaded), tests, progress
            ),
        )
        # The file to open comes last: once it is there, so is all that belongs to it.
        for file in reversed(exported.files):
            os.replace(draft / file.name, file)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return exported


def default_path(run: Path, format: Format, precision: str) -> Path:
    """In a run folder ``model.onnx``, ``model-int8.onnx`` and the like; of a checkpoint beside it, by its name."""
    end = ("" if precision == "fp32" else f"-{precision}") + format.suffix
    return run / f"model{end}" if run.is_dir() else run.with_name(run.stem + end)


def _some_faces(trained: Trained, store: Store, count: int, seed: int) -> Inputs:
    if count < 1:
        raise ValueError(f"calibration_faces must be at least 1, got {count}")
    if not len(store):
        raise ValueError(f"the store {store.name} holds no face")
    rows = np.random.default_rng(seed).choice(len(store), min(count, len(store)), replace=False)
    return preprocess(store.decode(np.sort(rows)), trained.spec)


def _costs(
    trained: Trained, exported: ExportedPredictor, tests: Sequence[Store], progress: Progress | None
) -> list[PrecisionCost]:
    if not tests:
        return []
    run = use(make(trained, "fp32").SerializeToString())
    reference = ExportedPredictor(exported.name, trained.spec, trained.decoder, run)
    costs = []
    for store in tests:
        figures = []
        for title, predictor in (("fp32", reference), ("the exported file", exported)):

            def step(done: int, total: int, title: str = f"{title} on {store.name}") -> None:
                if progress is not None:
                    progress(title, done, total)

            metrics = evaluate(predictor, store, progress=step, rounds=0).metrics
            figures.append({name: value for name, value in metrics.items() if isinstance(value, float)})
        costs.append(PrecisionCost(store.name, len(store), *figures))
    return costs
