from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from agegender_core.predict import ModelFileError
from agegender_train.baselines import open_model
from agegender_train.baselines.mirrored import Mirrored

SIDE = 8
CHIPS = np.zeros((3, 140, 140, 3), np.uint8)
AGE: dict[str, Any] = {"output": "a", "decode": "years"}
GENDER: dict[str, Any] = {"output": "g", "decode": "probability"}
YEARS, MALE = [[31.5]], [[0.75]]


def write_third_party(
    path: Path,
    outputs: dict[str, Any],
    heads: Any,
    batch: int | str = "N",
    kind: int = TensorProto.FLOAT,
    layout: str = "nhwc",
    **adapter: Any,
) -> Path:
    """A network without metadata that says the same of every face, plus the mean of what it sees, and its adapter."""
    shape = [SIDE, SIDE, 3] if layout == "nhwc" else [3, SIDE, SIDE]
    nodes = [
        helper.make_node("Cast", ["picture"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        *(helper.make_node("Add", ["column", f"{name}_row"], [name]) for name in outputs),
    ]
    constants = {"axes": np.array([1, 2, 3]), "one": np.array([1])}
    constants |= {f"{name}_row": np.array(row, np.float32) for name, row in outputs.items()}
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("picture", kind, [batch, *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, len(row[0])]) for name, row in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    # A grey face is tried first; with a scale of 0 the network sees black in any face.
    preprocess = {"input_size": SIDE, "scale": [0, 0, 0], "layout": layout}
    written = {"name": "theirs", "preprocess": preprocess, "heads": heads, **adapter}
    path.with_suffix(".json").write_text(json.dumps({key: value for key, value in written.items() if value != "none"}))
    return path


def predict(path: Path, outputs: dict[str, Any], age: dict[str, Any], gender: dict[str, Any], **more: Any) -> Any:
    return open_model(str(write_third_party(path, outputs, {"age": age, "gender": gender}, **more))).predict_chips(
        CHIPS
    )


def test_our_own_models_are_opened_by_name_and_file() -> None:
    assert open_model("ssrnet").name == "ssrnet"
    assert open_model("ssrnet", flip=False).predict_chips(np.zeros((1, 140, 140, 3), np.uint8)).age.shape == (1,)


@pytest.mark.parametrize("batch", ["N", 1])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_a_third_party_model_beside_its_adapter(batch: int | str, layout: str, tmp_path: Path) -> None:
    outputs = {"a": YEARS, "g": MALE}
    path = write_third_party(tmp_path / "s.onnx", outputs, {"age": AGE, "gender": GENDER}, batch, layout=layout)
    for text in (path, path.with_suffix(".json")):
        model = open_model(str(text))
        assert model.name == "theirs"
        assert (model.spec.chip_size, model.spec.chip_padding, model.spec.margin) == (140, 0.4, 0.4)
        prediction = model.predict_chips(CHIPS)
        assert prediction.age.tolist() == [31.5] * 3
        assert prediction.age_std is None
        assert prediction.p_male.tolist() == [0.75] * 3
        assert prediction.age_probs is None
        assert len(model.predict_chips(CHIPS[:0]).age) == 0


def test_an_adapter_names_its_model_and_input(tmp_path: Path) -> None:
    write_third_party(
        tmp_path / "s.onnx", {"a": YEARS, "g": MALE}, {"age": AGE, "gender": GENDER}, input="picture", licence="MIT"
    )
    written = json.loads((tmp_path / "s.json").read_text())
    del written["name"]
    (tmp_path / "other.json").write_text(json.dumps({**written, "file": "s.onnx"}))
    other = open_model(str(tmp_path / "other.json"), flip=True)
    assert other.name == "other"
    assert isinstance(other, Mirrored)
    assert other.metadata == {"agegender.licence": "MIT"}
    (tmp_path / "other.json").write_text(json.dumps({**written, "file": "gone.onnx"}))
    with pytest.raises(FileNotFoundError, match=r"no model file at .*gone\.onnx, which .*other\.json describes"):
        open_model(str(tmp_path / "other.json"))


LOGITS = [[0.0, np.log(3)]]


@pytest.mark.parametrize(
    ("output", "head", "p_male"),
    [
        ([[0.25, 0.75]], {"decode": "softmax"}, 0.75),
        ([[0.25, 0.75]], {"decode": "softmax", "male": 0}, 0.25),
        (LOGITS, {"decode": "softmax", "activation": "softmax"}, 0.75),
        (LOGITS, {"decode": "softmax", "activation": "softmax", "male": 0}, 0.25),
        ([[0.25]], {"decode": "probability", "male": 0}, 0.75),
        ([[np.log(3)]], {"decode": "probability", "activation": "sigmoid"}, 0.75),
        ([[9, 9, 0.75, 9]], {"decode": "probability", "columns": [2, 3]}, 0.75),
        (LOGITS, {"decode": "softmax", "activation": "softmax", "bias": -np.log(3)}, 0.5),
    ],
)
def test_genders_as_third_parties_write_them(output: Any, head: dict[str, Any], p_male: float, tmp_path: Path) -> None:
    found = predict(tmp_path / "s.onnx", {"a": YEARS, "g": output}, AGE, {"output": "g", **head})
    np.testing.assert_allclose(found.p_male, [p_male] * 3, rtol=1e-5)


GROUPS = [1, 5, 10, 17.5, 28.5, 40.5, 50.5, 80]
SHARES = [[0, 0, 0, 0.25, 0.75, 0, 0, 0]]


@pytest.mark.parametrize(
    ("output", "head", "age", "std"),
    [
        ([[0.315]], {"decode": "years", "factor": 100}, 31.5, None),
        ([[-0.25]], {"decode": "years", "factor": 50, "offset": 50, "std": 7}, 37.5, 7),
        (SHARES, {"decode": "expected", "ages": GROUPS}, 25.75, None),
        (SHARES, {"decode": "likeliest", "ages": GROUPS, "std": 8}, 28.5, 8),
        (np.log(np.array(SHARES) + 1e-9), {"decode": "expected", "ages": GROUPS, "activation": "softmax"}, 25.75, None),
        ([np.eye(101)[40]], {"decode": "expected"}, 40, 0),
        ([np.eye(101)[100]], {"decode": "expected"}, 100, 0),
        ([[0, 1]], {"decode": "expected", "ages": [0, 100]}, 100, 0),
    ],
)
def test_ages_as_third_parties_write_them(
    output: Any, head: dict[str, Any], age: float, std: float | None, tmp_path: Path
) -> None:
    found = predict(tmp_path / "s.onnx", {"a": output, "g": MALE}, {"output": "a", **head}, GENDER)
    np.testing.assert_allclose(found.age, [age] * 3, rtol=1e-5)
    assert (found.age_std is None) == (std is None and head["decode"] == "years")
    if std is not None:
        np.testing.assert_allclose(found.age_std, [std] * 3, atol=1e-3)
    if head["decode"] == "expected":
        np.testing.assert_allclose(found.age_probs.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(found.age_probs @ np.arange(101), [age] * 3, rtol=1e-5)


def test_one_output_may_hold_both(tmp_path: Path) -> None:
    both = {"fc1": [[1.0, -1.0, 0.42]]}
    age = {"output": "fc1", "columns": [2, 3], "decode": "years", "factor": 100}
    gender = {"output": "fc1", "columns": [0, 2], "decode": "softmax", "activation": "softmax"}
    found = predict(tmp_path / "s.onnx", both, age, gender)
    np.testing.assert_allclose(found.age, [42] * 3, rtol=1e-6)
    np.testing.assert_allclose(found.p_male, [1 / (1 + np.exp(2))] * 3, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"preprocess": "none"}, "it lacks preprocess"),
        ({"preprocess": {}}, "'input_size' in pixels"),
        ({"preprocess": {"input_size": 8, "colour": "rgb"}}, "unknown are colour; it may hold input_size, chip_size"),
        ({"preprocess": {"input_size": 8, "color": "grey"}}, "color must be one of rgb, bgr, got 'grey'"),
        ({"preprocess": {"input_size": 8, "mean": 127.5}}, "a value of the wrong type"),
        ({"preprocess": {"input_size": 16}}, r"gives float32 \(n, 16, 16, 3\), but the model's input 'picture'"),
        ({"preprocess": {"input_size": 8, "layout": "nchw"}}, r"gives float32 \(n, 3, 8, 8\)"),
        ({"license": "free"}, "unknown are license; an adapter file has name, file, input, licence"),
        ({"input": "data"}, "named by 'input', got 'data' of picture"),
        ({"kind": TensorProto.UINT8}, r"is tensor\(uint8\)"),
        ({"batch": 2}, "takes 2 faces at a time"),
        ({"heads": "none"}, "it lacks heads"),
        ({"heads": {"age": AGE}}, "'heads' must hold 'age' and 'gender'"),
        ({"heads": {"age": {"decode": "years"}, "gender": GENDER}}, "head 'age' must be an object with the name"),
        (
            {"heads": {"age": {**AGE, "decode": "best"}, "gender": GENDER}},
            "one of years, expected, likeliest, got 'best'",
        ),
        ({"heads": {"age": {**AGE, "ages": [1]}, "gender": GENDER}}, "head 'age': unknown with 'years' are ages"),
        ({"heads": {"age": {**AGE, "factor": "x"}, "gender": GENDER}}, "'factor' must be a finite number, got 'x'"),
        ({"heads": {"age": {**AGE, "columns": [1, 1]}, "gender": GENDER}}, "'columns' must be"),
        ({"heads": {"age": {**AGE, "columns": [1, 2]}, "gender": GENDER}}, "needs 1 columns of 'a', got 0"),
        ({"heads": {"age": {**AGE, "decode": "expected"}, "gender": GENDER}}, "needs 101 columns of 'a', got 1"),
        ({"heads": {"age": {**AGE, "decode": "expected", "ages": [5, 101]}, "gender": GENDER}}, "from 0 to 100"),
        ({"heads": {"age": AGE, "gender": {**GENDER, "male": 2}}}, "'male' must be 0 or 1, got 2"),
        ({"heads": {"age": AGE, "gender": {**GENDER, "activation": "relu"}}}, "'activation' must be softmax, sigmoid"),
        ({"heads": {"age": AGE, "gender": {**GENDER, "output": "x"}}}, "has no output x, but a, g"),
        ({"outputs": {"a": YEARS, "g": [[1.5]]}}, "'g' must be a probability, got 1.5..1.5: logits need"),
        ({"outputs": {"a": [[np.nan]], "g": MALE}}, "'a' holds values that are not finite"),
    ],
)
def test_adapters_that_do_not_fit_are_refused(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    given = {"outputs": {"a": YEARS, "g": MALE}, "heads": {"age": AGE, "gender": GENDER}, **changes}
    path = write_third_party(tmp_path / "s.onnx", **given)
    with pytest.raises(ValueError, match=rf"s\.json: .*{why}"):
        open_model(str(path))


def test_the_example_on_the_page_is_an_adapter(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/baselines.md").read_text()
    written = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL)[1])  # type: ignore[index]
    outputs = {"age_logits": [[0.0] * 8], "gender_logits": [[1.0, 0.0]]}
    preprocess = {**written["preprocess"], "input_size": SIDE, "scale": [0, 0, 0]}
    path = write_third_party(tmp_path / "s.onnx", outputs, layout="nchw", **{**written, "preprocess": preprocess})
    found = open_model(str(path)).predict_chips(CHIPS)
    np.testing.assert_allclose(found.age, np.mean(GROUPS), rtol=1e-5)
    assert found.p_male[0] > 0.7


def test_logits_are_not_taken_for_probabilities(tmp_path: Path) -> None:
    head = {"output": "g", "decode": "softmax"}
    with pytest.raises(ValueError, match=r"probabilities that sum to 1, got 3\.0\.\.3\.0: logits need \"activation\""):
        predict(tmp_path / "s.onnx", {"a": YEARS, "g": [[1, 2]]}, AGE, head)


@pytest.mark.parametrize("text", ["hello", "[1]", "[" * 100_000])
def test_what_is_no_adapter_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x\.json: "):
        open_model(str(tmp_path / "x.json"))


def test_what_can_not_be_opened_says_what_can(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model file at nothing; .* a model is .*insightface:FOLDER"):
        open_model("nothing")
    with pytest.raises(FileNotFoundError, match="no adapter file at"):
        open_model(str(tmp_path / "nothing.json"))
    path = write_third_party(tmp_path / "s.onnx", {"a": YEARS, "g": MALE}, {})
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelFileError, match=r"needs an adapter file beside it, .*s\.json"):
        open_model(str(path))
    for text, why in (
        ("insightface:", "must be followed by FOLDER"),
        ("insightface:a,mtcnn=b,yunet=c", "at most one source of landmarks"),
        ("insightface:a,points=some", "the landmarks must come from yunet=FILE, mtcnn=FOLDER or points=fixed"),
        ("ssrnet:age.h5", "two files, AGE.h5,GENDER.h5, got 'age.h5'"),
    ):
        with pytest.raises(ValueError, match=why):
            open_model(text)
    with pytest.raises(FileNotFoundError, match="no weights at"):
        open_model(f"ssrnet:{tmp_path / 'age.h5'},{tmp_path / 'gender.h5'}")


def test_mirrored_is_the_mean_of_both_ways_round(tmp_path: Path) -> None:
    class Left:
        """The age is what the left edge shows."""

        name = "left"
        spec = open_model("ssrnet").spec

        def predict_chips(self, chips: np.ndarray) -> Any:
            from agegender_core.predict import Prediction

            value = chips[:, 0, 0, 0].astype(np.float32)
            probs = np.eye(101, dtype=np.float32)[chips[:, 0, 0, 0]]
            return Prediction(value, value / 10, value / 100, probs)

    chips = CHIPS.copy()
    chips[:, :, 0], chips[:, :, -1] = 40, 20
    found = Mirrored(Left()).predict_chips(chips)
    assert (found.age[0], found.age_std[0]) == (30, 3)
    assert found.p_male[0] == pytest.approx(0.3)
    assert found.age_probs is not None
    assert found.age_probs[0, [20, 40]].tolist() == [0.5, 0.5]
    path = write_third_party(tmp_path / "s.onnx", {"a": YEARS, "g": MALE}, {"age": AGE, "gender": GENDER})
    for flip, kind in ((True, Mirrored), (False, None), (None, None)):
        assert isinstance(open_model(str(path), flip=flip), Mirrored) == (kind is Mirrored)


def test_the_authors_ssrnet(shared_data: Path) -> None:
    folder = shared_data / "models/ssrnet"
    model = open_model(f"ssrnet:{folder / 'imdb-age.h5'},{folder / 'wiki-gender.h5'}")
    assert model.name == "ssrnet's authors, imdb-age and wiki-gender"
    assert (model.spec.input_size, model.spec.color, model.spec.margin) == (64, "bgr", 0.4)
    prediction = model.predict_chips(np.full((2, 140, 140, 3), 128, np.uint8))
    assert prediction.age.shape == prediction.p_male.shape == (2,)
    assert ((prediction.age >= 0) & (prediction.p_male <= 1)).all()
    assert prediction.age_std is None
    assert len(model.predict_chips(CHIPS[:0]).age) == 0
    with pytest.raises(ValueError, match=r"chips must be uint8 \(n, 140, 140, 3\), got uint8 \(3, 72, 72, 3\)"):
        model.predict_chips(CHIPS[:, :72, :72])
    with pytest.raises(ValueError, match=r"wiki-gender\.h5 must hold the network for age, got the one for p_male"):
        open_model(f"ssrnet:{folder / 'wiki-gender.h5'},{folder / 'imdb-age.h5'}")


def test_the_real_insightface_by_its_text(shared_data: Path) -> None:
    models = shared_data / "models"
    for option, name in ((f"mtcnn={models / 'mtcnn'}", "MTCNN's points"), ("points=fixed", "fixed points")):
        model = open_model(f"insightface:{models / 'insightface-gender-age'},{option}")
        assert model.name == f"insightface, {name}"
        assert model.predict_chips(CHIPS).age.shape == (3,)


def test_no_training_framework_is_loaded() -> None:
    code = (
        "import sys, agegender_train.baselines.ssrnet, agegender_train.baselines.insightface;"
        "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow', 'jax', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
