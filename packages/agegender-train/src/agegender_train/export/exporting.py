"""From a run to an artefact, checked before anybody sees it."""

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
from agegender_train.export.checking import ArtefactPredictor, Change, Difference, made_chips, milliseconds
from agegender_train.export.formats import Batch, Format, get_format
from agegender_train.export.formats.onnx import make, use
from agegender_train.export.trained import Trained, read_trained
from agegender_train.store import Store

PRECISIONS = ("fp32", "fp16", "int8")
Told = Callable[[str, int, int], None]
"""Called with what is being done, and how much of how much is."""


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        files: that were written; the first is the one to name.
        size: of all files, bytes.
        format: name of the format.
        precision: "fp32", "fp16" or "int8".
        difference: from Keras.
        milliseconds: median time of one face on one thread of this machine's processor.
        changes: on each test set.
    """

    files: list[Path]
    size: int
    format: str
    precision: str
    difference: Difference
    milliseconds: float
    changes: list[Change]


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
    told: Told | None = None,
) -> Exported:
    """Write a trained network in another format, or with smaller weights.

    Args:
        run: see `read_trained`.
        format: one of `format_names()`.
        precision: of the weights; with "int8" of the features, too.
        out: path of the file; see `default_path` for ``None``. What is there is replaced.
        calibration: faces whose features' ranges int8 takes, of the kind that will be met; nothing else needs them.
        calibration_faces: how many of these, drawn by chance.
        seed: of that chance.
        tests: stores to compare the artefact with the fp32 network on.
        told: see `Told`.

    Raises:
        FileNotFoundError: there is no such run.
        ValueError: the run, the format or the precision can't be had, a package for it is absent, or the artefact
            doesn't say what Keras says. Nothing is written then.
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
        require_same_cut(ArtefactPredictor(path.name, trained.spec, trained.decoder, trained.outputs), store)
    faces: Batch | None = None
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
        difference = Difference.between(trained.outputs(shown), loaded(shown), trained.decoder)
        difference.refuse_beyond(precision)
        exported = Exported(
            files=[path.with_suffix(suffix) for suffix in (kind.suffix, *kind.companions)],
            size=sum(file.stat().st_size for file in draft.iterdir()),
            format=format,
            precision=precision,
            difference=difference,
            milliseconds=milliseconds(loaded, shown[:1]),
            changes=_changes(trained, ArtefactPredictor(path.name, trained.spec, trained.decoder, loaded), tests, told),
        )
        # The file to name comes last: who sees it finds all that belongs to it.
        for file in reversed(exported.files):
            os.replace(draft / file.name, file)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return exported


def default_path(run: Path, format: Format, precision: str) -> Path:
    """In a run folder ``model.onnx``, ``model-int8.onnx`` and the like; of a checkpoint beside it, by its name."""
    end = ("" if precision == "fp32" else f"-{precision}") + format.suffix
    return run / f"model{end}" if run.is_dir() else run.with_name(run.stem + end)


def _some_faces(trained: Trained, store: Store, count: int, seed: int) -> Batch:
    if count < 1:
        raise ValueError(f"calibration_faces must be at least 1, got {count}")
    if not len(store):
        raise ValueError(f"the store {store.name} holds no face")
    rows = np.random.default_rng(seed).choice(len(store), min(count, len(store)), replace=False)
    return preprocess(store.decode(np.sort(rows)), trained.spec)


def _changes(trained: Trained, artefact: ArtefactPredictor, tests: Sequence[Store], told: Told | None) -> list[Change]:
    if not tests:
        return []
    run = use(make(trained, "fp32").SerializeToString())
    reference = ArtefactPredictor(artefact.name, trained.spec, trained.decoder, run)
    changes = []
    for store in tests:
        figures = []
        for title, predictor in (("fp32", reference), ("the artefact", artefact)):

            def progress(done: int, total: int, title: str = f"{title} on {store.name}") -> None:
                if told is not None:
                    told(title, done, total)

            metrics = evaluate(predictor, store, progress=progress, rounds=0).metrics
            figures.append({name: value for name, value in metrics.items() if isinstance(value, float)})
        changes.append(Change(store.name, len(store), *figures))
    return changes
