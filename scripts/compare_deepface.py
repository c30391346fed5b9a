"""Print requests a second of `agegender serve` beside deepface's API, which gets stand-ins for its networks' weights.

    uv run python scripts/compare_deepface.py --deepface venv/bin/python --yunet face_detection_yunet_2023mar.onnx

deepface (``pip install "deepface[api]"`` in an environment of its own, whose Python --deepface names) fetches its
weights when it is first used. This script needs no network: it puts networks of the same layers into a folder of its
own, VGG-Face (Parkhi, Vedaldi and Zisserman, BMVC 2015) with 101 and with 2 outputs, whose weights are random. They
take the same time and say nothing about the face. Both servers find faces with YuNet, look for age and gender alone,
and get the same picture from so many clients at a time; turns alternate, the median of each counts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = "import sys; from agegender_cli.main import main; sys.argv[0] = 'agegender'; main()"
CONVOLUTIONS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def write_vgg_face(path: Path, outputs: int, size: int = 224) -> None:
    """Its layers with random weights: input (n, size, size, 3), output (n, outputs) that sum to 1."""
    chance = np.random.default_rng(0)
    nodes = [helper.make_node("Transpose", ["input"], ["x0"], perm=[0, 3, 1, 2])]
    weights = []

    def convolve(inputs: int, filters: int, side: int, activation: bool) -> int:
        number, source = len(nodes), nodes[-1].output[0]
        kernel = chance.standard_normal((filters, inputs, side, side), np.float32) * (2 / (inputs * side**2)) ** 0.5
        weights.extend(
            [
                numpy_helper.from_array(kernel, f"w{number}"),
                numpy_helper.from_array(np.zeros(filters, np.float32), f"b{number}"),
            ]
        )
        pads = [side // 2] * 4 if side == 3 else [0] * 4
        names = [source, f"w{number}", f"b{number}"]
        nodes.append(helper.make_node("Conv", names, [f"x{number}"], pads=pads, kernel_shape=[side, side]))
        if activation:
            nodes.append(helper.make_node("Relu", [nodes[-1].output[0]], [f"r{number}"]))
        return filters

    channels = 3
    for block in CONVOLUTIONS:
        for filters in block:
            channels = convolve(channels, filters, 3, activation=True)
        pooled = f"p{len(nodes)}"
        nodes.append(helper.make_node("MaxPool", [nodes[-1].output[0]], [pooled], kernel_shape=[2, 2], strides=[2, 2]))
    channels = convolve(channels, 4096, size // 32, activation=True)
    channels = convolve(channels, 4096, 1, activation=True)
    convolve(channels, outputs, 1, activation=False)
    nodes.append(helper.make_node("Flatten", [nodes[-1].output[0]], ["flat"]))
    nodes.append(helper.make_node("Softmax", ["flat"], ["output"], axis=1))
    graph = helper.make_graph(
        nodes,
        "vgg-face",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", size, size, 3])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", outputs])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


@contextmanager
def running(words: Sequence[str], address: str, **environment: str) -> Iterator[None]:
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    ) as process:
        try:
            end = time.monotonic() + 120
            while not is_up(address):
                assert process.poll() is None, f"{words[0]} ended"
                assert time.monotonic() < end, f"{address} does not answer"
                time.sleep(0.2)
            yield
        finally:
            process.terminate()


def is_up(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def request(address: str, picture: bytes, field: str, **fields: str) -> urllib.request.Request:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n'
        for key, text in fields.items()
    ]
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="a.jpg"\r\n'
    head = "".join(parts) + file + "Content-Type: image/jpeg\r\n\r\n"
    body = head.encode() + picture + f"\r\n--{boundary}--\r\n".encode()
    return urllib.request.Request(address, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def rate(ask: urllib.request.Request, clients: int, requests: int) -> float:
    def one(_: int) -> int:
        with urllib.request.urlopen(ask, timeout=300) as answer:
            answer.read()
            return int(answer.status)

    with ThreadPoolExecutor(clients) as pool:
        start = time.monotonic()
        statuses = list(pool.map(one, range(requests)))
        seconds = time.monotonic() - start
    assert set(statuses) == {200}, statuses
    return requests / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--deepface", metavar="PYTHON", required=True, help="of an environment with deepface[api]")
    parser.add_argument("--yunet", type=Path, required=True, help="YuNet's model file, for deepface")
    parser.add_argument("--picture", type=Path, default=ROOT / "samples" / "astronaut.jpg")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--requests", type=int, nargs=2, default=[160, 16], metavar="N", help="ours and theirs, a turn")
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    picture = args.picture.read_bytes()
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        weights = Path(home) / ".deepface" / "weights"
        weights.mkdir(parents=True)
        write_vgg_face(weights / "age_model_weights.onnx", 101)
        write_vgg_face(weights / "gender_model_weights.onnx", 2)
        shutil.copy(args.yunet, weights / "face_detection_yunet_2023mar.onnx")
        theirs = [args.deepface, "-m", "gunicorn", "--workers=1", "--timeout=3600", "--bind=127.0.0.1:5005"]
        stack.enter_context(
            running([*theirs, "deepface.api.src.app:create_app()"], "http://127.0.0.1:5005/", DEEPFACE_HOME=home)
        )
        ours = [sys.executable, "-c", PROGRAM, "serve", "--port", "8123", "--rate", "0"]
        stack.enter_context(running(ours, "http://127.0.0.1:8123/healthz"))
        asks = {
            "agegender": request("http://127.0.0.1:8123/predict", picture, "picture"),
            "deepface": request(
                "http://127.0.0.1:5005/analyze", picture, "img", actions="age,gender", detector_backend="yunet"
            ),
        }
        for ask in asks.values():  # the first call loads the models
            rate(ask, 1, 2)
        print(f"requests a second, median of {args.turns} turns")
        print(f"{'clients':>7}{'agegender':>12}{'deepface':>12}{'ratio':>8}")
        for clients in args.clients:
            rates = [
                [rate(ask, clients, n) for ask, n in zip(asks.values(), args.requests, strict=True)]
                for _ in range(args.turns)
            ]
            a, b = (statistics.median(column) for column in zip(*rates, strict=True))
            ratio = statistics.median(one / other for one, other in rates)
            print(f"{clients:7}{a:12.1f}{b:12.2f}{ratio:8.1f}")


if __name__ == "__main__":
    main()
