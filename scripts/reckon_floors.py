"""Print how long stages take beside their floor: the time to move their bytes, or to multiply and add.

uv run python scripts/reckon_floors.py

How fast this machine copies memory and multiplies matrices, on one thread, is measured first. A floor is what a perfect
program would still need at that rate, with nothing in the cache before.
"""

from __future__ import annotations

import argparse
import math
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import onnx

from agegender_core import load_predictor, preprocess
from agegender_core.benchmark.timing import Call, time_calls

MEGABYTES, SIDE = 64, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    seconds = parser.parse_args().seconds
    source = np.ones(MEGABYTES << 20, np.uint8)
    target = np.empty_like(source)
    a, b = np.random.default_rng(0).normal(size=(2, SIDE, SIDE)).astype(np.float32)
    out = np.empty_like(a)
    bytes_a_second = 2e3 * source.nbytes / best(lambda: np.copyto(target, source), seconds)
    madds_a_second = 1e3 * SIDE**3 / best(lambda: np.dot(a, b, out), seconds)
    print(f"copies {bytes_a_second / 1e9:.1f} GB/s, read and written; {madds_a_second / 1e9:.1f} G multiply-adds/s")
    print(f"{'stage':<32}{'median ms':>10}{'10-90 %':>16}{'floor ms':>10}{'times':>7}  floor of")
    for name in ("accurate", "fast", "tiny"):
        predictor = load_predictor(name, flip=False)
        size = predictor.spec.chip_size
        chips = np.random.default_rng(0).integers(0, 256, (32, size, size, 3), np.uint8)
        inputs = preprocess(chips, predictor.spec)
        madds = multiply_adds(onnx.load(str(predictor.path)))
        for faces in (1, 32):
            some = inputs[:faces]
            row(
                f"{name}: network, {faces} face{'s' * (faces > 1)}",
                lambda some=some, run=predictor.predict_inputs: run(some),
                faces * madds / madds_a_second,
                f"{faces * madds / 1e6:,.0f} M multiply-adds",
                seconds,
            )
        spec, prepared = predictor.spec, np.empty_like(inputs)
        left, top, right, bottom = spec.crop
        moved = round(32 * (right - left) * (bottom - top) * 3) + prepared.nbytes
        row(
            f"{name}: preprocess 32 chips",
            lambda chips=chips, spec=spec, prepared=prepared: preprocess(chips, spec, prepared),
            moved / bytes_a_second,
            f"{moved / 1e6:.2f} MB",
            seconds,
        )


def best(call: Call, seconds: float) -> float:
    """Milliseconds of the fastest call, which other work on the machine has slowed the least."""
    return float(time_calls(call, seconds)["min_ms"])


def row(stage: str, call: Call, floor_seconds: float, of: str, seconds: float) -> None:
    times, floor = time_calls(call, seconds), 1e3 * floor_seconds
    spread = f"{times['p10_ms']:.2f}-{times['p90_ms']:.2f}"
    ratio = times["median_ms"] / floor
    print(f"{stage:<32}{times['median_ms']:>10.2f}{spread:>16}{floor:>10.3f}{ratio:>7.1f}  {of}")


def multiply_adds(model: onnx.ModelProto) -> int:
    """Of the convolutions and matrix products of a network, for one face."""
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    batch.Clear()
    batch.dim_value = 1
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            # A weight of (out, in / groups, height, width) is used once at each place of the output.
            weight, output = shapes[node.input[1]], shapes[node.output[0]]
            total += math.prod(weight) * math.prod(output[2:])
        elif node.op_type in ("MatMul", "Gemm"):
            total += math.prod(shapes[node.input[1]]) * math.prod(shapes[node.output[0]][:-1])
    assert total, "no convolution was found"
    return total


if __name__ == "__main__":
    main()
