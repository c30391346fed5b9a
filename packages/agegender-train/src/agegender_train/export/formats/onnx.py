"""ONNX: what `agegender_core.load_predictor` reads."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto, checker

from agegender_core.model_file import open_session
from agegender_train.export.formats._format import Batch, Format, Run, faces_for
from agegender_train.export.model_file import set_description
from agegender_train.export.onnx_graph import build_graph
from agegender_train.export.onnx_precision import halve, quantise
from agegender_train.export.trained import Outputs, Trained


def make(trained: Trained, precision: str, faces: Batch | None = None) -> ModelProto:
    """The ONNX model of a network in a precision, without its description."""
    graph = build_graph(trained.model)
    if precision == "fp16":
        halve(graph)
    if precision == "int8":
        graph = quantise(graph, faces_for(precision, faces))
    return graph


def use(model: bytes) -> Run:
    """What runs the bytes of an ONNX model."""
    session = open_session(model)
    names = [output.name for output in session.get_outputs()]

    def run(batch: Batch) -> Outputs:
        return dict(zip(names, session.run(names, {"input": batch}), strict=True))

    return run


def _write(trained: Trained, path: Path, precision: str, faces: Batch | None) -> None:
    graph = make(trained, precision, faces)
    set_description(graph, trained.description)
    checker.check_model(graph, full_check=True)
    path.write_bytes(graph.SerializeToString())


FORMAT = Format("onnx", ".onnx", ("fp32", "fp16", "int8"), _write, lambda path: use(path.read_bytes()))
