"""SSR-Net's soft stagewise regression as ONNX nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from agegender_train.export.onnx_nodes import Graph


def stagewise(graph: Graph, layer: Any, inputs: list[str], name: str) -> str:
    """Converts a `SoftStagewiseRegression`."""

    def scalar(key: str, value: float) -> str:
        return graph.constant(f"{name}/{key}", value)

    one, index_weight = scalar("one", 1.0), scalar("lambda_index", layer.lambda_index)
    width_weight, axis = scalar("lambda_width", layer.lambda_width), graph.constant(f"{name}/axis", [1], np.int64)
    total, bin_count = "", ""
    for stage, bins in enumerate(layer.stages):
        p, delta, eta = inputs[3 * stage : 3 * stage + 3]
        here = f"{name}/stage{stage + 1}"
        offset = graph.add("Mul", [eta, index_weight], f"{here}/offset")
        index = graph.add("Add", [offset, graph.constant(f"{here}/bins", np.arange(bins))], f"{here}/index")
        weighted = graph.add("Mul", [p, index], f"{here}/weighted")
        expected = graph.add("ReduceSum", [weighted, axis], f"{here}/expected", keepdims=1)
        change = graph.add("Mul", [delta, width_weight], f"{here}/change")
        width = graph.add("Add", [change, one], f"{here}/width")
        count = graph.add("Mul", [width, scalar(f"stage{stage + 1}/count", bins)], f"{here}/bin_count")
        bin_count = graph.add("Mul", [bin_count, count], f"{here}/all_bins") if bin_count else count
        term = graph.add("Div", [expected, bin_count], f"{here}/term")
        total = graph.add("Add", [total, term], f"{here}/total") if total else term
    return graph.add("Mul", [total, scalar("value_range", layer.value_range)], name)
