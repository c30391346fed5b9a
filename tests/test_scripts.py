"""The scripts still run after a change of what they import, and say what they make."""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from agegender_core.predict import Prediction, Predictor

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
IMPORTED = {"large_photos.py"}
"""By another script; not to be run."""

ELSEWHERE = {"mxnet_forward.py"}
"""Runs in an environment of its own; see tests/train/baselines/test_mxnet_parity.py."""

NEEDS = {
    "compare_landmarks.py": "dlib",
    "compare_live.py": "dlib",
    "train_landmark_model.py": "dlib",
    "compare_preprocess.py": "dlib",
    "measure_dask.py": "distributed",
}


@pytest.fixture(autouse=True)
def beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("*.py")))
def test_the_first_line_says_what_a_script_makes(script: str) -> None:
    doc = ast.get_docstring(ast.parse((SCRIPTS / script).read_text()))
    assert doc is not None
    assert re.match(r"(Make|Print|Train) .*[.:]", doc.split("\n\n")[0].replace("\n", " ")), doc.splitlines()[0]


@pytest.mark.parametrize("script", sorted({path.name for path in SCRIPTS.glob("*.py")} - IMPORTED - ELSEWHERE))
def test_scripts_run(script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(NEEDS.get(script, "argparse"))
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    assert stopped.value.code == 0
    assert f"usage: {script}" in capsys.readouterr().out


def test_what_is_left_out_is_used() -> None:
    others = "\n".join(path.read_text() for path in SCRIPTS.glob("*.py") if path.name not in IMPORTED)
    for name in IMPORTED:
        assert f"from {Path(name).stem} import" in others
    for name in ELSEWHERE:
        assert importlib.util.spec_from_file_location("script", SCRIPTS / name) is not None
        compile((SCRIPTS / name).read_text(), name, "exec")


@pytest.mark.skipif(
    sys.platform != "linux" or not sysconfig.get_config_var("Py_ENABLE_SHARED") or not shutil.which("cc"),
    reason="needs Linux, a C compiler and a Python whose library is shared",
)
def test_holds_of_the_lock_are_measured_in_a_process_of_their_own() -> None:
    command = [sys.executable, SCRIPTS / "measure_gil.py", "--calls", "5", "--faces", "2"]
    head, *rows, last = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert head.split()[:2] == ["stage", "faces"]
    assert {row[:12].strip() for row in rows} >= {"decode", "detect", "HOG", "align", "predict", "track", "draw"}
    for row in rows:
        faces, whole, longest = row[12:].split()[:3]
        assert faces == "2"
        assert 0 < float(longest) <= float(whole) + 1
        assert " -> " in row
    assert last.startswith("astype of nine boxes")


def test_a_pasted_face_counts_where_the_boxes_meet() -> None:
    from large_photos import LargePhotos

    photos = LargePhotos({"a": (0, 0, 100, 100), "b": (0, 0, 100, 100), "c": (0, 0, 100, 100)})
    assert photos.count_right({"a": (0, 0, 100, 50), "b": (50, 50, 150, 150), "c": ()}) == 1


def test_what_is_hidden_speaks_for_the_other_gender() -> None:
    from explain_face import SQUARE, STRIDE, occlusion_map

    class BrightMouth(Predictor):
        def __init__(self) -> None:
            """No model: the brighter a part of the chip, the less male."""

        def predict_chips(self, chips: np.ndarray) -> Prediction:
            return Prediction(None, None, 1 - chips[:, 100:110, 60:80].mean(axis=(1, 2, 3)).astype(np.float32) / 255)

    change = occlusion_map(BrightMouth(), np.full((140, 140, 3), 255, np.uint8))
    rows, columns = np.nonzero(change > 0.01)
    assert change.min() >= 0
    assert (rows * STRIDE + SQUARE > 100).all()
    assert (rows * STRIDE < 110).all()
    assert (columns * STRIDE + SQUARE > 60).all()
    assert (columns * STRIDE < 80).all()
    assert len(rows) > 8


def test_counts_are_compared_with_the_true_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import measure_counting

    (tmp_path / "seqinfo.ini").write_text("[Sequence]\nimWidth=400\nimHeight=400\nframeRate=10\nseqLength=40\n")
    # One walks across all upright lines and stays between two lying ones; another's row does not count.
    boxes = [f"{10 * frame - 30},130,40,40" for frame in range(1, 41)]
    true = [f"{frame},1,{box},1,-1,-1,-1" for frame, box in enumerate(boxes, 1)]
    found = [f"{frame},-1,{box},1,-1,-1,-1" for frame, box in enumerate(boxes, 1) if frame < 35]
    (tmp_path / "gt.txt").write_text("\n".join([*true, "1,2,0,0,9,9,0,-1,-1,-1"]))
    (tmp_path / "det.txt").write_text("\n".join(found))
    monkeypatch.setattr(sys, "argv", ["measure_counting.py", str(tmp_path)])
    measure_counting.main()
    row = capsys.readouterr().out.splitlines()[-2]
    assert " ".join(row.removeprefix(tmp_path.name).split()) == "1 1 3 0 % 3 0 % 3 0 % 1 1"
    (tmp_path / "det.txt").write_text("\n".join(found[:25]))
    measure_counting.main()
    assert " 33 %" in capsys.readouterr().out.splitlines()[-2]


def test_the_stand_in_for_deepface_is_a_network_of_its_kind(tmp_path: Path) -> None:
    import onnxruntime
    from compare_deepface import write_vgg_face

    write_vgg_face(tmp_path / "age.onnx", 101, size=32)
    session = onnxruntime.InferenceSession(tmp_path / "age.onnx")
    (answer,) = session.run(None, {"input": np.random.default_rng(1).random((2, 32, 32, 3), np.float32)})
    assert answer.shape == (2, 101)
    assert np.allclose(answer.sum(axis=1), 1, atol=1e-4)
    assert not np.allclose(answer[0], answer[1])
    weights = (tmp_path / "age.onnx").stat().st_size
    # 13 layers of 3 x 3, then 512 x 4096, 4096 x 4096 and 4096 x 101 numbers.
    assert abs(weights / 4 - (14_714_688 + 512 * 4096 + 4096 * 4097 + 4096 + 4097 * 101)) < 5000


def test_tracks_are_scored_by_the_people_in_them(tmp_path: Path) -> None:
    from measure_tracks import Score, read_people

    from agegender_core import Faces, FrameResult

    file = tmp_path / "people.txt"
    rows = [
        f"{frame},{person},{100 * person},0,50,50,{int(person < 3)}" for frame in range(1, 11) for person in (1, 2, 3)
    ]
    file.write_text("\n".join(rows))
    score = Score(read_people(file))
    for frame in range(10):
        ids = [7, 8] if frame < 5 else [8, 9]  # 7 is lost, 8 goes over to person 1
        boxes = np.array([[100, 0, 150, 50], [200, 0, 250, 50], [500, 0, 550, 50]], np.float32)
        male = np.array([0.2 + 0.6 * (frame % 2), 0.9, np.nan], np.float32)
        faces = Faces(boxes, track_id=np.array([*ids, 4]), p_male=male)
        score.add(FrameResult(frame, frame / 25, np.zeros((4, 4, 3), np.uint8), faces, faces), boxes[[0, 2]])
    people, tracks, false, switches, recall, of_yardstick, *changes = score.row().split()
    assert (people, tracks, false, switches) == ("2/2", "4", "1", "2")
    assert (recall, of_yardstick) == ("100.0%", "100.0%")
    assert changes[0] == changes[1] != "0"


def test_demo_faces_become_a_plot_of_their_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from agegender_train.preprocessing import preprocess

    def run(script: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")

    run("make_demo_faces.py", tmp_path / "demo", "--n", 4)
    preprocess("utkface", [tmp_path / "demo"], tmp_path / "store", near_duplicates=None)
    run("plot_near_duplicates.py", tmp_path / "store", "--bits", 16, "--out", tmp_path / "pairs.png")
    assert re.search(r"utkface: \d+ faces, \d+ pairs compared, \d+ the same picture", capsys.readouterr().out)
    assert cv2.imread(str(tmp_path / "pairs.png")).std() > 10


def test_multiply_adds_are_counted_as_they_are_by_hand() -> None:
    """A convolution of 3 x 3 with a stride of 2 in two groups, and a matrix product."""
    conv = helper.make_node("Conv", ["x", "w"], ["y"], group=2, strides=[2, 2], pads=[1, 1, 1, 1])
    nodes = [conv, helper.make_node("GlobalAveragePool", ["y"], ["p"]), helper.make_node("Flatten", ["p"], ["f"])]
    nodes.append(helper.make_node("MatMul", ["f", "m"], ["z"]))
    weights = {"w": np.zeros((6, 2, 3, 3), np.float32), "m": np.zeros((6, 5), np.float32)}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 10, 10])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    counted = runpy.run_path(str(SCRIPTS / "reckon_floors.py"))["multiply_adds"](helper.make_model(graph))
    assert counted == 6 * 2 * 3 * 3 * 5 * 5 + 6 * 5
