from __future__ import annotations

import json
import runpy
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agegender_train.baselines.insightface.mxnet_files import read_params, read_symbol

_WRITER = runpy.run_path(str(Path(__file__).with_name("mxnet_writer.py")))
params_bytes, TYPES = _WRITER["params_bytes"], _WRITER["TYPES"]
# One folder serves all examples of a test: each example writes its file anew.
shared_folder = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

arrays = hnp.arrays(
    st.sampled_from(TYPES), hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5), elements={}
)
names = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=4, unique=True)


@shared_folder
@given(data=st.data(), version=st.integers(0, 3))
def test_what_was_written_is_read(data: st.DataObject, version: int, tmp_path: Path) -> None:
    keys = [f"{data.draw(st.sampled_from(['arg:', 'aux:']))}{name}" for name in data.draw(names)]
    written = {key: data.draw(arrays) for key in keys}
    (tmp_path / "w.params").write_bytes(params_bytes(written, version))
    found = read_params(tmp_path / "w.params")
    assert list(found) == [key[4:].removeprefix("arg:").removeprefix("aux:") for key in keys]
    for value, expected in zip(found.values(), written.values(), strict=True):
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(value, expected)


def some_file() -> bytes:
    content: bytes = params_bytes({"arg:w": np.arange(6, dtype=np.float32).reshape(2, 3), "aux:v": np.ones(2)})
    return content


@shared_folder
@given(position=st.integers(0, len(some_file()) - 1), value=st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_refused_or_read_but_nothing_else(position: int, value: bytes, tmp_path: Path) -> None:
    content = some_file()
    damaged = content[:position] + value + content[position + len(value) :]
    (tmp_path / "d.params").write_bytes(damaged)
    refused = ""
    tracemalloc.start()
    try:
        for array in read_params(tmp_path / "d.params").values():
            assert array.nbytes <= len(damaged)
    except ValueError as error:
        refused = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert not refused or "d.params is no params file of MXNet, or a damaged one" in refused
    assert peak < 1_000_000


@pytest.mark.parametrize("length", range(len(some_file())))
def test_every_shortened_file_is_refused(length: int, tmp_path: Path) -> None:
    (tmp_path / "s.params").write_bytes(some_file()[:length])
    with pytest.raises(ValueError, match="a damaged one"):
        read_params(tmp_path / "s.params")


HEAD = struct.pack("<QQQ", 0x112, 0, 1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (struct.pack("<QQQ", 0x113, 0, 0), "begins with 0x113"),
        (struct.pack("<QQQ", 0x112, 0, 1 << 60), "entries are announced"),
        (HEAD + struct.pack("<IiIq", 0xF993FAC9, 1, 1, 1) + b"\0" * 40, "is sparse"),
        (HEAD + struct.pack("<IiI", 0xF993FAC9, 0, 33) + b"\0" * 400, "0x21 dimensions"),
        (HEAD + struct.pack("<IiIqiii", 0xF993FAC9, 0, 1, -1, 1, 0, 0) + b"\0" * 40, r"has the shape \(-1,\)"),
        (HEAD + struct.pack("<IiIqiii", 0xF993FAC9, 0, 1, 1 << 40, 1, 0, 0), "more are announced"),
        (HEAD + struct.pack("<IiIqqiii", 0xF993FAC9, 0, 2, 0, 1 << 62, 1, 0, 1) + struct.pack("<Q", 0), "the shape"),
        (HEAD + struct.pack("<IiIqiii", 0xF993FAC9, 0, 1, 1, 1, 0, 99) + b"\0" * 40, r"unknown type \(99\)"),
        (some_file() + b"\0", "1 bytes follow"),
        (params_bytes({"a": np.ones(1)}, names=["a", "b"]), "1 arrays and 2 names"),
        (params_bytes({"arg:a": np.ones(1), "aux:a": np.ones(1)}), "the same name"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "x.params").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.params is no params file.*{why}"):
        read_params(tmp_path / "x.params")


def test_arrays_that_were_never_filled_are_empty(tmp_path: Path) -> None:
    content = HEAD + struct.pack("<IiI", 0xF993FAC9, 0, 0) + struct.pack("<QQ", 1, 1) + b"a"
    (tmp_path / "e.params").write_bytes(content)
    assert read_params(tmp_path / "e.params")["a"].shape == (0,)
    with pytest.raises(FileNotFoundError):
        read_params(tmp_path / "nothing.params")


GRAPH: dict[str, Any] = {
    "nodes": [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "Flatten", "name": "f", "inputs": [[0, 0]], "param": {"a": "1"}, "attr": {"b": "2"}, "attrs": {"c": 3}},
    ],
    "heads": [[1, 0, 0]],
}


def test_a_graph_of_any_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "g-symbol.json").write_text(json.dumps(GRAPH))
    symbol = read_symbol(tmp_path / "g-symbol.json")
    assert symbol.nodes[1].inputs == ((0, 0),)
    assert symbol.nodes[1].attributes == {"a": "1", "b": "2", "c": "3"}
    assert symbol.heads == ((1, 0),)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({**GRAPH, "heads": []}),
        json.dumps({**GRAPH, "heads": [[2, 0, 0]]}),
        json.dumps({**GRAPH, "heads": [[True, 0, 0]]}),
        json.dumps({**GRAPH, "nodes": [{"op": "Flatten", "name": "f", "inputs": [[0, 0]]}]}),
        json.dumps({**GRAPH, "nodes": [{"op": 1, "name": "f", "inputs": []}]}),
        json.dumps({**GRAPH, "nodes": [{"op": "null", "name": "f", "inputs": [[]], "attrs": []}]}),
    ],
    ids=range(10),
)
def test_what_is_no_graph_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x-symbol.json").write_text(text)
    with pytest.raises(ValueError, match=r"x-symbol\.json is no symbol file of MXNet"):
        read_symbol(tmp_path / "x-symbol.json")


def test_the_published_files(shared_data: Path) -> None:
    params = read_params(shared_data / "models/insightface-gender-age/model-0000.params")
    assert len(params) == 146
    assert params["pre_fc1_weight"].shape == (202, 256)
    old = read_params(shared_data / "models/mtcnn/det3-0001.params")
    assert old["conv6_3_weight"].shape == (10, 256)
    assert all(np.isfinite(value).all() for value in [*params.values(), *old.values()])
