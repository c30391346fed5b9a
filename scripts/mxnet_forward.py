# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["mxnet==1.9.1", "numpy<2"]
# ///
"""Make MXNet's own outputs for some faces: the reference for our conversion of InsightFace's network.

    uv run --no-project --script scripts/mxnet_forward.py FOLDER FACES.npy OUT.npz
    uv run --no-project --script scripts/mxnet_forward.py --make FOLDER

FOLDER holds one network, *-symbol.json and *-NNNN.params. FACES.npy is float32 (n, 3, h, w). OUT.npz gets output0,
output1, ... in the network's order. --make writes a small network with random weights in which each operation occurs
that our converter knows, and takes nothing else.

An environment of its own, made by uv from the lines above: MXNet wants NumPy 1, and everything else here NumPy 2. It is
for Linux on x86-64 and needs libgomp.
"""

import argparse
import builtins
from pathlib import Path

import numpy as np

# MXNet 1.9.1 was the last one, and names what NumPy 1.24 took away.
for name in ("bool", "int", "float", "complex", "object", "str"):
    if name not in np.__dict__:
        setattr(np, name, getattr(builtins, name))

import mxnet as mx  # noqa: E402

BATCH = 100


def forward(folder: Path, faces: np.ndarray) -> list[np.ndarray]:
    (symbol_file,) = folder.glob("*-symbol.json")
    (params_file,) = folder.glob("*.params")
    symbol = mx.sym.load(str(symbol_file))
    saved = mx.nd.load(str(params_file))
    args, aux = ({key[4:]: value for key, value in saved.items() if key.startswith(kind)} for kind in ("arg:", "aux:"))
    results = []
    for start in range(0, len(faces), BATCH):
        batch = mx.nd.array(faces[start : start + BATCH])
        executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=batch.shape)
        executor.copy_params_from(args, aux, allow_extra_params=True)
        results.append([output.asnumpy() for output in executor.forward(is_train=False, data=batch)])
    return [np.concatenate(values) for values in zip(*results, strict=True)]


def made_network() -> "mx.sym.Symbol":
    s = mx.sym
    x = (s.var("data") - 127.5) * 0.0078125
    x = s.Convolution(x, name="conv1", kernel=(3, 3), stride=(1, 1), pad=(1, 1), num_filter=8, no_bias=True)
    x = s.Activation(s.BatchNorm(x, name="fixed", fix_gamma=True), act_type="relu", name="relu")
    x = s.Convolution(x, name="grouped", kernel=(3, 3), stride=(2, 2), pad=(1, 1), num_filter=8, num_group=8)
    x = s.LeakyReLU(s.BatchNorm(x, name="free", fix_gamma=False, eps=2e-5), act_type="prelu", name="prelu")
    # 16 pixels and windows of 3 by steps of 2: the last one is cut by the border, which only "full" takes.
    x = s.Pooling(x, name="full", kernel=(3, 3), stride=(2, 2), pool_type="max", pooling_convention="full")
    y = s.Convolution(x, name="dilated", kernel=(3, 3), pad=(2, 2), dilate=(2, 2), num_filter=8)
    y = s.Activation(y, act_type="tanh", name="tanh")
    x = s.elemwise_add(x, y, name="sum") + s.broadcast_add(x, y, name="broadcast")
    a = s.Pooling(x, name="average", kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg")
    b = s.Pooling(x, name="valid", kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")
    x = s.Concat(a, b, dim=1, name="concat")
    x = s.LeakyReLU(s.LeakyReLU(x, act_type="leaky", slope=0.1, name="leaky"), act_type="elu", slope=0.5, name="elu")
    x = s.Dropout(s.identity(x, name="same"), p=0.5, name="dropout")
    c = s.SoftmaxActivation(x, mode="channel", name="channels")
    wide = s.Flatten(s.Pooling(x, name="everywhere", kernel=(7, 7), pool_type="avg", global_pool=True))
    most = s.Flatten(s.Pooling(c, name="most", kernel=(1, 1), pool_type="max", global_pool=True))
    rows = s.FullyConnected(x, name="dense", num_hidden=16)
    rows = s.LeakyReLU(rows, act_type="prelu", name="prelu_rows")
    rows = s.Activation(s.Concat(rows, wide, most, dim=1), act_type="sigmoid", name="sigmoid")
    rows = (s.FullyConnected(rows, name="last", num_hidden=12, no_bias=True) + 0.5) / 2.0
    logits = s.BatchNorm(rows, name="logits", fix_gamma=True, eps=2e-5)
    soft = s.softmax(s.Activation(logits, act_type="softrelu", name="soft"), name="softmax")
    gender = s.SoftmaxOutput(s.FullyConnected(soft, name="two", num_hidden=2), name="prob")
    return s.Group([logits, gender, s.Activation(logits, act_type="softsign", name="sign")])


def make(folder: Path) -> None:
    rng, symbol = np.random.default_rng(7), made_network()
    shapes, _, aux_shapes = symbol.infer_shape(data=(1, 3, 32, 32))
    saved = {}
    for kind, names, sizes in (
        ("arg", symbol.list_arguments(), shapes),
        ("aux", symbol.list_auxiliary_states(), aux_shapes),
    ):
        for name, shape in zip(names, sizes, strict=True):
            if name == "data" or name.endswith("label"):
                continue
            positive = name.endswith(("var", "gamma"))
            value = rng.uniform(0.5, 1.5, shape) if positive else rng.normal(0, 0.3, shape)
            saved[f"{kind}:{name}"] = mx.nd.array(value.astype(np.float32))
    folder.mkdir(parents=True, exist_ok=True)
    symbol.save(str(folder / "made-symbol.json"))
    mx.nd.save(str(folder / "made-0000.params"), saved)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("faces", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--make", action="store_true")
    args = parser.parse_args()
    if args.make:
        make(args.folder)
        return
    if args.out is None:
        parser.error("FOLDER, FACES.npy and OUT.npz are needed")
    outputs = forward(args.folder, np.load(args.faces))
    np.savez(args.out, **{f"output{number}": values for number, values in enumerate(outputs)})


if __name__ == "__main__":
    main()
