"""Keras beside our predictor: the same network with the same weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from agegender_core.benchmark import Comparison, Sides


def keras_comparisons() -> list[Comparison]:
    """SSR-Net for one face and for a batch. Its weights are random, which doesn't affect the time."""
    return [
        Comparison(
            f"predict {faces} face{'s' * (faces > 1)} by SSR-Net",
            f"Keras's {how}",
            "keras",
            "ages equal within 0.001 years",
            partial(_sides, faces, how),
        )
        for faces in (1, 32)
        for how in ("predict()", "call")
    ]


def _sides(faces: int, how: str) -> Sides:
    from agegender_core import load_predictor, preprocess
    from agegender_train.export import export_onnx
    from agegender_train.models import build_model, get_network

    shipped, network, model = load_predictor("tiny"), get_network("ssrnet"), build_model("ssrnet", mix=32)
    heads: dict[str, dict[str, Any]] = {name: dict(head) for name, head in network.heads.items()}
    heads["age"]["std"] = 5.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ssrnet.onnx"
        export_onnx(model, path, name="ssrnet", spec=shipped.spec, heads=heads, training={}, metrics=[], licence="")
        predictor = load_predictor(path, flip=False)
    size = predictor.spec.chip_size
    chips = np.random.default_rng(1).integers(0, 256, (faces, size, size, 3), np.uint8)
    calls: dict[str, Callable[[Any], Any]] = {
        "predict()": lambda inputs: model.predict(inputs, verbose=0)["age"],
        "call": lambda inputs: np.asarray(model(inputs, training=False)["age"]),
    }

    def theirs() -> Any:
        # Ours gives no ages below 0.
        return np.maximum(np.ravel(calls[how](preprocess(chips, predictor.spec))), 0)

    def difference(one: Any, other: Any) -> str:
        apart = float(np.abs(one - other).max())
        return "" if apart < 1e-3 else f"by up to {apart:.3g} years"

    return Sides(lambda: np.asarray(predictor.predict_chips(chips).age), theirs, difference)
