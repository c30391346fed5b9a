"""Make YuNet's file take pictures of any size, as the one in the wheel does.

    uv run python scripts/make_yunet_dynamic.py face_detection_yunet_2023mar.onnx yunet.onnx

OpenCV Zoo's file says that its input has 640 x 640 pixels, which OpenCV ignores and ONNX Runtime doesn't. Only what the
file says of shapes is changed: its operations and weights stay to the bit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    model = onnx.load(args.source)
    del model.graph.value_info[:]
    _, _, height, width = model.graph.input[0].type.tensor_type.shape.dim
    height.dim_param, width.dim_param = "height", "width"
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = f"cells_{output.name.split('_')[1]}"
    model.doc_string = (
        "YuNet, face_detection_yunet_2023mar.onnx of OpenCV Zoo (MIT, Shiqi Yu), with inputs of any size."
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, args.output)


if __name__ == "__main__":
    main()
