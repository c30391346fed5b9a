from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agegender_core import PreprocessSpec

MAIN = "import sys; from agegender_cli.main import main; sys.argv[0] = 'agegender'; main()"
Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs ``agegender`` with these words in this process, which saves the start of one: what it printed.

    It must end with the exit code `code`, 0 unless given.
    """
    from agegender_cli.main import main

    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        words = ["agegender", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        monkeypatch.delenv("AGEGENDER_DEBUG", raising=False)
        with pytest.raises(SystemExit) as end:
            main()
        out, errors = capsys.readouterr()
        assert (end.value.code or 0) == code, errors
        assert "Traceback" not in errors
        return subprocess.CompletedProcess(words, code, out, errors)

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that says 20 years plus a tenth of the mean grey level, and female with 0.8."""
    size = 32
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "twenty"], ["age"]),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "fifth"], ["p_male"]),
    ]
    constants = {"axes": np.array([1, 2, 3]), "twenty": np.float32(20), "zero": np.float32(0), "fifth": np.float32(0.2)}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", size, size, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in ("age", "p_male")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    tiny = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    heads = {
        "age": {"output": "age", "decode": "years", "std": 7.0},
        "gender": {"output": "p_male", "decode": "probability"},
    }
    spec = PreprocessSpec(input_size=size, scale=(0.1, 0.1, 0.1))
    metadata = {"format": "1", "name": "tiny", "preprocess": spec.to_json(), "heads": json.dumps(heads)}
    helper.set_model_props(tiny, {f"agegender.{key}": value for key, value in metadata.items()})
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    onnx.save(tiny, str(path))
    return path


@pytest.fixture
def running(start_process: Callable[..., Any]) -> Callable[..., Any]:
    """Runs a command, and gives the process and the address that it says."""

    @contextmanager
    def running(
        *arguments: object, token: str | None = None, started: Callable[[Any], Any] = id, **named: Any
    ) -> Iterator[tuple[Any, str]]:
        environment = {name: value for name, value in os.environ.items() if name != "AGEGENDER_TOKEN"}
        environment |= {} if token is None else {"AGEGENDER_TOKEN": token}
        command = [sys.executable, "-c", MAIN, *arguments]
        with start_process(command, stderr=subprocess.PIPE, env=environment, **named) as process:
            started(process)
            line = process.stderr.readline()
            assert "on http://127.0.0.1:" in line, line + process.stderr.read()
            yield process, line.split()[-1]

    return running
