from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def undecided_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of random weights, which has another answer for each picture."""
    import keras

    from agegender_core.spec import PreprocessSpec
    from agegender_train.export import export_onnx
    from agegender_train.models import build_model, get_network

    heads: dict[str, dict[str, Any]] = {name: dict(head) for name, head in get_network("ssrnet").heads.items()}
    heads["age"]["std"] = 9.0
    keras.utils.set_random_seed(3)
    model, path = build_model("ssrnet", width=0.25), tmp_path_factory.mktemp("teacher") / "undecided.onnx"
    spec = PreprocessSpec(64, chip_size=72, mean=(127.5,) * 3, scale=(1 / 127.5,) * 3)
    return export_onnx(model, path, name="undecided", spec=spec, heads=heads, training={}, metrics=[], licence="CC0")
