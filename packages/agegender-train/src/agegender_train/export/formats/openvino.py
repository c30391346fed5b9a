"""OpenVINO: an .xml with the graph and a .bin with the weights, converted from our ONNX graph.

int8 takes the ranges that ONNX Runtime's quantisation measured: OpenVINO understands them, so NNCF isn't needed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from agegender_core import openvino_runtime
from agegender_train.export.formats._format import Format, Inference, Inputs
from agegender_train.export.formats.onnx import make
from agegender_train.export.trained import Outputs, Trained


def _openvino() -> Any:
    try:
        return openvino_runtime.openvino()
    except openvino_runtime.RuntimeChoiceError:
        raise ValueError("the format openvino needs the package openvino: pip install openvino") from None


def _write(trained: Trained, path: Path, precision: str, faces: Inputs | None) -> None:
    openvino = _openvino()
    graph = make(trained, "int8" if precision == "int8" else "fp32", faces)
    model = openvino.Core().read_model(graph.SerializeToString())
    _name_alike(model)
    for key, text in trained.description.items():
        model.set_rt_info(text, ["agegender", key])
    openvino.save_model(model, path, compress_to_fp16=precision == "fp16")


def _name_alike(model: Any) -> None:
    """Numbers unnamed nodes within the model: OpenVINO counts the nodes of all models of the process."""
    for number, node in enumerate(model.get_ordered_ops()):
        if re.fullmatch(rf"{node.get_type_name()}_\d+", node.get_friendly_name()):
            node.set_friendly_name(f"{node.get_type_name()}_{number}")


def _load(path: Path) -> Inference:
    openvino = _openvino()
    # Newer processors would otherwise compute in bfloat16, which has three digits.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    names = [output.any_name for output in compiled.outputs]

    def run(batch: Inputs) -> Outputs:
        found = compiled(batch)
        return {name: found[name] for name in names}

    return run


FORMAT = Format("openvino", ".xml", ("fp32", "fp16", "int8"), _write, _load, companions=(".bin",))
