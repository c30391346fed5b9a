"""The examples do what they say. Gradio itself is no dependency of ours: a stand-in takes what it would be given."""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_core.images import read_image

ROOT = Path(__file__).resolve().parents[1]


def test_the_gradio_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    given: dict[str, Any] = {}
    stand_in = types.ModuleType("gradio")

    def interface(function: Any, inputs: Any, outputs: Any, **options: Any) -> None:
        given.update(function=function, inputs=inputs, outputs=outputs, **options)

    def component(*arguments: Any, **options: Any) -> dict[str, Any]:
        return {"arguments": arguments, **options}

    for name in ("Image", "Slider", "Dataframe"):
        monkeypatch.setattr(stand_in, name, component, raising=False)
    monkeypatch.setattr(stand_in, "Interface", interface, raising=False)
    monkeypatch.setitem(sys.modules, "gradio", stand_in)
    monkeypatch.delenv("GRADIO_ANALYTICS_ENABLED", raising=False)
    runpy.run_path(str(ROOT / "examples" / "gradio_demo.py"))
    picture = read_image(ROOT / "samples" / "astronaut.jpg")
    drawn, table = given["function"](picture, 24)
    assert drawn.shape == picture.shape
    assert (drawn != picture).any()
    assert table["gender"].tolist() == ["female"]
    assert 15 < table["age"][0] < 50
    nothing, empty = given["function"](None, 24)
    assert nothing is None
    assert list(empty.columns) == list(table.columns)
    nobody, none = given["function"](np.zeros((64, 64, 3), np.uint8), 24)
    assert (nobody == 0).all()
    assert len(none) == 0
    assert given["outputs"][0]["buttons"] == ["download", "fullscreen"]
