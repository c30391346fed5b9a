"""How long the networks take to load and to run, by batch and threads, beside how accurate they are."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agegender_core.align import Aligner
from agegender_core.cpus import usable_cpus
from agegender_core.detect import make_detector
from agegender_core.faces import Faces
from agegender_core.images import read_image
from agegender_core.model_file import from_metadata
from agegender_core.predict import MODELS, Predictor

from .hardware import describe_machine
from .stages import SAMPLE, load_to_time
from .timing import time_calls

BATCHES = (1, 4, 32)
Results = list[dict[str, Any]]
_FIGURES = ("age_mae", "interval_mae", "gender_accuracy")


def measure_models(
    models: Iterable[str | os.PathLike[str]] = tuple(MODELS),
    batch_sizes: Sequence[int] = BATCHES,
    threads: Sequence[int] | None = None,
    seconds: float = 0.5,
    device: str = "cpu",
    runtime: str | Sequence[str] = "onnxruntime",
    report: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """How long each model takes for so many faces at a time on so many threads, from chip to age and gender.

    Args:
        models: model files, or names of those that come with the package.
        batch_sizes: faces in a call.
        threads: of the runtime within a call; ``None``: 1, 2, 4, ... up to the cores that may be used.
        seconds: time to spend on each combination.
        device: see `load_predictor`.
        runtime: see `load_predictor`; several are measured one after the other.
        report: the folder, or its metrics.json, of an ``agegender eval`` that tested these models: its figures are
            taken, instead of those in the model files.

    Returns:
        A mapping with "machine" (see `describe_machine`); "models": a list of mappings with model (as it was named),
        network, bytes (of the file), precision (of its weights), looks (at a face: 2 where each is mirrored, too), and
        "figures": a mapping with source, test_set, n, and as far as they are known age_mae (years), interval_mae
        (years from the age group that the label gives) and gender_accuracy (in [0, 1]), or ``None`` where none are
        known; and "rows": a list of mappings with model, batch, threads, device (see `Predictor.provider`), load_ms
        (the median of `load_predictor`, again and again in this process: the first time its memory must be got from the
        system, too), what `time_calls` gives, and ms_per_face.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: a file is no model.
        ValueError: the report can't be read, or tested another file of the same name.
    """
    counts = _up_to(usable_cpus()) if threads is None else list(threads)
    results = None if report is None else _results(Path(report))
    models, runtimes = list(models), [runtime] if isinstance(runtime, str) else list(runtime)
    first = [load_to_time(model, threads=counts[0], device=device, runtime=runtimes[0]) for model in models]
    about = [_about(str(model), predictor, results) for model, predictor in zip(models, first, strict=True)]
    rows: list[dict[str, Any]] = []
    for model, by in itertools.product(models, runtimes):
        for number in counts:
            load = partial(load_to_time, model, threads=number, device=device, runtime=by)
            load_ms = time_calls(load, seconds)["median_ms"]
            predictor = load()
            chips = _chips(predictor)
            for size in batch_sizes:
                batch = np.ascontiguousarray(np.resize(chips, (size, *chips.shape[1:])))
                times = time_calls(partial(predictor.predict_chips, batch), seconds, size)
                where = {"model": str(model), "batch": size, "threads": number, "device": predictor.provider}
                ms_per_face = times["median_ms"] / size
                rows.append({**where, "load_ms": load_ms, **times, "ms_per_face": ms_per_face})
    return {"machine": describe_machine(), "models": about, "rows": rows}


def _up_to(cpus: int) -> list[int]:
    return sorted({cpus, *(2**power for power in range(cpus.bit_length()) if 2**power <= cpus)})


def _chips(predictor: Predictor) -> Any:
    frame = read_image(SAMPLE)
    found = make_detector()(frame, Faces.empty())
    return Aligner(predictor.spec.chip_size, predictor.spec.chip_padding)(frame, found).chips


def _about(model: str, predictor: Predictor, results: Results | None) -> dict[str, Any]:
    description = {
        key: json.loads(text)
        for key, text in from_metadata(predictor.metadata).items()
        if key in ("export", "metrics", "training")
    }
    figures = (
        _figures_of_the_file(description) if results is None else _figures_of(results, predictor.name, description)
    )
    return {
        "model": model,
        "network": predictor.name,
        "bytes": predictor.path.stat().st_size,
        "precision": (description.get("export") or {}).get("precision", "fp32"),
        "looks": 2 if predictor.flip else 1,
        "figures": figures,
    }


def _figures_of_the_file(description: Mapping[str, Any]) -> dict[str, Any] | None:
    stated = [row for row in description.get("metrics") or [] if _known(row)]
    return {"source": "model file", **_known(stated[0])} if stated else None


def _figures_of(results: Results, name: str, description: Mapping[str, Any]) -> dict[str, Any] | None:
    """Those of the test set with known ages, where there is one, since groups say less about ages."""
    of_name = [row for row in results if row["model"] == name]
    rows = [row for row in of_name if row.get("training") == description.get("training")]
    if of_name and not rows:
        raise ValueError(f"the report tested another {name}, one that was trained differently")
    rows.sort(key=lambda row: row.get("age_mae") is None)
    return {"source": "report", **_known(rows[0])} if rows and _known(rows[0]) else None


def _known(row: dict[str, Any]) -> dict[str, Any]:
    figures = {name: row[name] for name in _FIGURES if row.get(name) is not None}
    return {"test_set": row.get("test_set"), "n": row.get("n"), **figures} if figures else {}


def _results(path: Path) -> Results:
    path = path / "metrics.json" if path.is_dir() else path
    try:
        results = json.loads(path.read_bytes())["results"]
        return [row for row in results if isinstance(row["model"], str) and row.get("part") is None]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is no metrics.json of agegender eval") from None
