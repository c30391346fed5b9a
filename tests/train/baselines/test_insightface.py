from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_core import load_predictor
from agegender_core.onnx_runtime import open_session
from agegender_train.baselines.insightface import (
    FixedPoints,
    InsightFace,
    MTCNNPoints,
    YuNetPoints,
    build_insightface,
    convert_insightface,
)
from agegender_train.baselines.insightface.mxnet_files import Node, Symbol
from agegender_train.baselines.insightface.mxnet_to_onnx import build_network, to_model
from agegender_train.baselines.insightface.points import MEAN_POINTS
from agegender_train.baselines.insightface.predictor import SIDE, TEMPLATE, cut, similarities

params_bytes = runpy.run_path(str(Path(__file__).with_name("mxnet_writer.py")))["params_bytes"]
RNG = np.random.default_rng(0)


def node(op: str, name: str, inputs: list[int], **attributes: object) -> dict[str, Any]:
    attributes = {key: str(value) for key, value in attributes.items()}
    return {"op": op, "name": name, "inputs": [[i, 0, 0] for i in inputs], "attrs": attributes}


def write_network(folder: Path, outputs: int = 202, nodes: list[dict[str, Any]] | None = None, **params: Any) -> Path:
    """The mean colour and a dense layer: the smallest network of InsightFace's shape."""
    nodes = nodes or [
        node("null", "data", []),
        node("Pooling", "pool", [0], pool_type="avg", global_pool=True, kernel=(1, 1)),
        node("null", "w", []),
        node("null", "b", []),
        node("FullyConnected", "fc1", [1, 2, 3], num_hidden=outputs),
    ]
    folder.mkdir(exist_ok=True)
    graph = {"nodes": nodes, "heads": [[len(nodes) - 1, 0, 0]]}
    (folder / "made-symbol.json").write_text(json.dumps(graph))
    arrays = {"arg:w": np.zeros((outputs, 3)), "arg:b": np.zeros(outputs), **params}
    (folder / "made-0000.params").write_bytes(
        params_bytes({key: np.asarray(value, np.float32) for key, value in arrays.items()})
    )
    return folder


def ages_by_red(folder: Path) -> Path:
    """Pair i says older where red is above 2 i; male where blue is above 100."""
    weight, bias = np.zeros((202, 3)), np.zeros(202)
    weight[1, 2], bias[1] = 1, -100
    weight[3::2, 0], bias[3::2] = 1, -2 * np.arange(100)
    return write_network(folder, **{"arg:w": weight, "arg:b": bias})


def chip(red: int, blue: int, side: int = 140) -> np.ndarray:
    face = np.zeros((side, side, 3), np.uint8)
    face[..., 0], face[..., 2] = red, blue
    return face


class KnownPoints:
    name = "known points"

    def __init__(self, points: np.ndarray) -> None:
        self.points = points

    def __call__(self, chips: np.ndarray) -> np.ndarray:
        return self.points.copy()


def test_ages_are_the_pairs_and_gender_the_first_two(tmp_path: Path) -> None:
    session = open_session(build_insightface(ages_by_red(tmp_path)).SerializeToString(), 1, "made")
    faces = np.stack([chip(81, 50, 112), chip(0, 101, 112), chip(250, 100, 112)]).transpose(0, 3, 1, 2)
    age, gender, fc1 = session.run(["age", "gender", "fc1"], {"data": faces.astype(np.float32)})
    assert age.tolist() == [[41], [0], [100]]
    np.testing.assert_allclose(gender[:, 1], 1 / (1 + np.exp([50.0, -1.0, 0.0])), rtol=1e-5)
    assert fc1.shape == (3, 202)


def test_the_model_file_is_one_of_ours(tmp_path: Path) -> None:
    predictor = load_predictor(convert_insightface(ages_by_red(tmp_path / "net"), tmp_path / "insightface.onnx"))
    assert predictor.name == "insightface"
    assert "research" in predictor.metadata["agegender.licence"]
    prediction = predictor.predict_chips(np.stack([chip(61, 200)]))
    assert prediction.age.tolist() == [31]
    assert prediction.p_male.tolist() == [1]


def test_the_predictor_counts_faces_without_points(tmp_path: Path) -> None:
    points = np.stack([MEAN_POINTS, np.full((5, 2), np.nan), np.full((5, 2), 70.0)])
    # Nothing that is cut lies beyond the chip: its colour is that of the face.
    points[0] = 70 + (TEMPLATE - 56)
    predictor = InsightFace(ages_by_red(tmp_path), KnownPoints(points))
    assert predictor.name == "insightface, known points"
    assert (predictor.spec.chip_size, predictor.spec.chip_padding) == (140, 0.4)
    prediction = predictor.predict_chips(np.stack([chip(61, 200)] * 3))
    assert predictor.fallbacks == 2
    assert prediction.age[0] == 31
    assert prediction.age_std.min() > 0
    assert prediction.age[1] == prediction.age[2] < 31  # its upper edge is black
    predictor = InsightFace(tmp_path, FixedPoints())
    assert len(predictor.predict_chips(np.empty((0, 140, 140, 3), np.uint8)).age) == 0
    with pytest.raises(ValueError, match=r"chips must be uint8 \(n, 140, 140, 3\), got uint8 \(1, 72, 72, 3\)"):
        predictor.predict_chips(chip(0, 0, 72)[None])


def test_points_are_moved_to_the_template_as_umeyama_says() -> None:
    from skimage.transform import SimilarityTransform

    points = MEAN_POINTS + RNG.normal(0, 8, (20, 5, 2))
    found = similarities(points)
    for row, matrix in zip(points, found, strict=True):
        expected = SimilarityTransform.from_estimate(row, TEMPLATE)
        np.testing.assert_allclose(matrix, np.asarray(expected.params)[:2], atol=1e-9)


def test_a_cut_puts_the_points_where_they_belong() -> None:
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    points = ((TEMPLATE - 56) / 1.5) @ turn.T + 70
    face = np.zeros((1, 140, 140, 3), np.uint8)
    for x, y in points:
        face[0, round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 255
    made = cut(face, points[None])
    assert made.shape == (1, SIDE, SIDE, 3)
    for x, y in TEMPLATE:
        assert made[0, round(y), round(x)].min() > 200


def one_node(op: str, inputs: int = 1, **attributes: object) -> Symbol:
    variables = [Node("null", name, {}, ()) for name in ("data", "w", "b", "c", "d")]
    made = Node(
        op, "made", {key: str(value) for key, value in attributes.items()}, tuple((i, 0) for i in range(inputs))
    )
    return Symbol((*variables, made), ((5, 0),))


@pytest.mark.parametrize(
    ("symbol", "why"),
    [
        (one_node("Crop"), r"the operation Crop \(node made\) has no converter; known are Activation, BatchNorm"),
        (one_node("Pooling", kernel=(2, 2), pool_type="sum"), "Pooling with pool_type=sum"),
        (one_node("Pooling", kernel=(2, 2), pool_type="avg", pooling_convention="full"), "pooling_convention=full"),
        (one_node("Pooling", kernel=(2, 2), pad=(1, 1), pooling_convention="full"), r"pad=\[1, 1\]"),
        (one_node("Pooling", kernel="(2, 2, 2)"), "kernel must be two numbers"),
        (one_node("Pooling", kernel="(9999, 2)"), "kernel must be two numbers up to 4096"),
        (one_node("Convolution", 2, kernel=(1, 1), layout="NHWC"), "layout=NHWC"),
        (one_node("Convolution", 2, kernel=(1, 1), num_group="x"), "num_group must be a number, got 'x'"),
        (one_node("BatchNorm", 3), "BatchNorm must have 5 inputs, got 3"),
        (one_node("BatchNorm", 5, axis=3), "axis=3"),
        (one_node("Activation", act_type="gelu"), "act_type=gelu"),
        (one_node("LeakyReLU", act_type="rrelu"), "act_type=rrelu"),
        (one_node("LeakyReLU", act_type="prelu"), r"too few inputs \(1\)"),
        (one_node("SoftmaxOutput"), r"SoftmaxOutput over \(n, c, h, w\)"),
        (one_node("Dropout", mode="always"), "mode=always"),
        (one_node("Flatten", 0), "must read the output of another"),
        (Symbol(one_node("Flatten").nodes, ((5, 1),)), "is the second of a node"),
        (
            Symbol((*one_node("Flatten").nodes, Node("Flatten", "next", {}, ((5, 1),))), ((6, 0),)),
            "reads a second output",
        ),
    ],
)
def test_what_has_no_converter_is_named(symbol: Symbol, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        build_network(symbol, {name: np.ones(3, np.float32) for name in "wbcd"})


def test_a_fixed_gamma_is_one_whatever_the_file_says() -> None:
    params = {name: np.full(3, value, np.float32) for name, value in zip("wbcd", (7, 1, 0, 1), strict=True)}
    pictures = np.ones((2, 3, 4, 4), np.float32)
    for fix, expected in ((True, 2), (False, 8)):
        network, outputs = build_network(one_node("BatchNorm", 5, fix_gamma=fix, eps=0), params)
        model = to_model(network, (3, 4, 4), {"made": (3, 4, 4)})
        (made,) = open_session(model.SerializeToString(), 1, "made").run(outputs, {"data": pictures})
        np.testing.assert_allclose(made, expected)


def test_folders_without_the_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        build_insightface(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty holds no \*-symbol.json"):
        build_insightface(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"narrow holds no gender-age network of InsightFace's: graph and weights"):
        build_insightface(write_network(tmp_path / "narrow", outputs=12))
    with pytest.raises(ValueError, match="don't fit together"):
        build_insightface(write_network(tmp_path / "bent", **{"arg:w": np.zeros((202, 4))}))
    nodes = [node("null", "data", []), node("null", "gone", []), node("Convolution", "c", [0, 1], kernel=(1, 1))]
    with pytest.raises(ValueError, match="the weights have no 'gone', which the node c needs"):
        build_insightface(write_network(tmp_path / "gone", nodes=nodes))
    twice = write_network(tmp_path / "twice")
    (twice / "other-symbol.json").write_text("{}")
    with pytest.raises(ValueError, match=r"holds 2 files \*-symbol.json"):
        build_insightface(twice)


def test_points_come_from_files_that_hold_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model file at .*nothing\.onnx"):
        YuNetPoints(tmp_path / "nothing.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.onnx is no YuNet model"):
        YuNetPoints(tmp_path / "text.onnx")
    with pytest.raises(FileNotFoundError, match=r"holds no det3-symbol\.json"):
        MTCNNPoints(tmp_path)
    write_network(tmp_path)
    (tmp_path / "made-symbol.json").rename(tmp_path / "det3-symbol.json")
    (tmp_path / "made-0000.params").rename(tmp_path / "det3-0000.params")
    with pytest.raises(ValueError, match="holds no output network of MTCNN's: it has 1 outputs"):
        MTCNNPoints(tmp_path)


@pytest.fixture(scope="module")
def real_chips(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Chips of photos in which one can see where the eyes are."""
    import agegender_core as ag

    chips = []
    for name in ("obama-720p.jpg", "biden.jpg", "pascal-faces/Tom_Cruise_avp_2014_4.jpg"):
        frame = ag.read_image(shared_data / "photos" / name)
        chips.append(ag.Aligner(140, 0.4)(frame, ag.HogDetector()(frame, ag.Faces.empty())[:1]).chips)
    return np.concatenate(chips)


def test_two_networks_find_the_same_points_in_chips(shared_data: Path, real_chips: np.ndarray) -> None:
    (yunet,) = (shared_data / "models/yunet").glob("*.onnx")
    finders = [YuNetPoints(yunet), MTCNNPoints(shared_data / "models/mtcnn")]
    first, second = (finder(real_chips) for finder in finders)
    assert np.linalg.norm(first - second, axis=2).max() < 10
    assert np.linalg.norm(first - MEAN_POINTS, axis=2).mean() < 12
    for finder in finders:
        assert np.isnan(finder(np.zeros((2, 140, 140, 3), np.uint8))).all()
        assert finder(real_chips[:0]).shape == (0, 5, 2)


def test_the_published_network_knows_three_men(shared_data: Path, real_chips: np.ndarray) -> None:
    (yunet,) = (shared_data / "models/yunet").glob("*.onnx")
    predictor = InsightFace(shared_data / "models/insightface-gender-age", YuNetPoints(yunet))
    prediction = predictor.predict_chips(real_chips)
    assert predictor.fallbacks == 0
    assert (prediction.p_male > 0.5).all()
    assert ((prediction.age > 30) & (prediction.age < 80)).all()
