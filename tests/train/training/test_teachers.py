from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from agegender_core.augment import augment
from agegender_core.predict import Predictor, load_predictor
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.batches.augment import Views
from agegender_train.batches.augmentation import Augmentation
from agegender_train.batches.batches import Batches, TeacherTargets
from agegender_train.batches.face_set import FaceSet
from agegender_train.export import export_onnx
from agegender_train.losses import AgeDistillationLoss, IntervalAgeLoss, IntervalCrossEntropy
from agegender_train.models import build_model, get_network
from agegender_train.runs.settings import Settings
from agegender_train.training import train
from agegender_train.training.teachers import TeacherPredictions, load_teachers, teacher_targets

AGES = np.arange(101)


def peak(at: float, width: float = 15.0) -> np.ndarray:
    p = np.exp(-0.5 * ((AGES - at) / width) ** 2)
    return np.float32(p / p.sum())


def value(loss: keras.losses.Loss, target: Any, predicted: Any) -> float:
    return float(
        loss.call(ops.convert_to_tensor(np.float32([target])), ops.convert_to_tensor(np.float32([predicted])))[0]
    )


def test_the_teachers_part_is_the_divergence_from_its_distribution() -> None:
    label, predicted, teacher = [20.0, 29.0], peak(31), peak(27)
    divergence = (teacher * np.log(teacher / predicted)).sum()
    own = value(IntervalCrossEntropy(), label, predicted)
    target = np.concatenate([label, teacher])
    assert value(AgeDistillationLoss(IntervalCrossEntropy(), share=1.0), target, predicted) == pytest.approx(
        divergence, rel=1e-2
    )
    assert value(AgeDistillationLoss(IntervalCrossEntropy(), share=0.0), target, predicted) == pytest.approx(
        own, rel=1e-5
    )
    mixed = value(AgeDistillationLoss(IntervalCrossEntropy(), share=0.25), target, predicted)
    assert mixed == pytest.approx(0.75 * own + 0.25 * divergence, rel=1e-2)
    assert value(AgeDistillationLoss(IntervalCrossEntropy(), share=1.0), target, teacher) == pytest.approx(0, abs=1e-4)


def test_of_years_it_is_the_absolute_error() -> None:
    loss = AgeDistillationLoss(IntervalAgeLoss(), share=1.0)
    assert value(loss, [20.0, 29.0, 24.0], [31.0]) == pytest.approx(7.0)


def test_the_loss_survives_saving() -> None:
    loss = AgeDistillationLoss(IntervalCrossEntropy(spread=2.0), share=0.3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    target = np.concatenate([[20.0, 29.0], peak(25)])
    assert value(again, target, peak(40)) == value(loss, target, peak(40))
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\], got 1.5"):
        AgeDistillationLoss(IntervalCrossEntropy(), share=1.5)


def test_batches_carry_what_the_teacher_said_of_each_face(make_store: Any) -> None:
    store = make_store(n=24, genders=(0, 1, None))
    faces, rows = FaceSet([store]), np.arange(3, 24)
    teacher = TeacherTargets(np.float32(rows)[None, :, None], np.full((1, len(rows), 1), 0.5, np.float32), share=0.4)
    plain, both = (
        Batches(faces, rows, PreprocessSpec(16, chip_size=72), 8, seed=1, teacher=way)[0] for way in (None, teacher)
    )
    np.testing.assert_array_equal(both.inputs, plain.inputs)
    np.testing.assert_array_equal(both.targets["age"][:, :2], plain.targets["age"])
    # Each face has the opinion of its own row.
    of = {tuple(chip.ravel()[:50]): row for row, chip in zip(rows, _inputs(faces, rows), strict=True)}
    said = [of[tuple(chip.ravel()[:50])] for chip in both.inputs]
    assert both.targets["age"][:, 2].tolist() == said
    np.testing.assert_allclose(both.targets["gender"], 0.6 * plain.targets["gender"] + 0.2, atol=1e-6)
    np.testing.assert_array_equal(both.weights["gender"], plain.weights["gender"])


def _inputs(faces: FaceSet, rows: np.ndarray) -> np.ndarray:
    return preprocess(faces.chips(rows), PreprocessSpec(16, chip_size=72))


@pytest.fixture(scope="module")
def wrong_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that takes everyone for about 60."""
    heads: dict[str, dict[str, Any]] = {name: dict(head) for name, head in get_network("ssrnet").heads.items()}
    heads["age"] |= {"std": 9.0, "correction": {"at": [0.0, 1.0], "years": [60.0, 60.0]}}
    path = tmp_path_factory.mktemp("teacher") / "teacher.onnx"
    spec = PreprocessSpec(64, chip_size=72)
    model = build_model("ssrnet", width=0.25)
    return export_onnx(model, path, name="wrong", spec=spec, heads=heads, training={}, metrics=[], licence="CC0")


def predicted_by(
    teacher: Any, faces: FaceSet, folder: Path | None, rows: np.ndarray | None = None
) -> tuple[TeacherTargets, list[tuple[int, int]]]:
    seen: list[tuple[int, int]] = []
    kept = TeacherPredictions(folder, progress=lambda done, total: seen.append((done, total)))
    return teacher_targets([teacher], faces, np.arange(len(faces)) if rows is None else rows, 0.5, kept), seen


def test_what_teachers_predict_is_kept_by_content(
    make_store: Any, wrong_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agegender_train.training.teachers._KEPT_TOGETHER", 10)
    looks = []
    predict = Predictor.predict_chips

    def counted(self: Predictor, chips: np.ndarray) -> Any:
        looks.append(len(chips))
        if len(looks) == stop_at:
            raise KeyboardInterrupt
        return predict(self, chips)

    monkeypatch.setattr(Predictor, "predict_chips", counted)
    faces, stop_at = FaceSet([make_store(n=24)]), 0
    (teacher,) = load_teachers([str(wrong_teacher)], faces, False, 1)
    plain, seen = predicted_by(teacher, faces, None)
    assert looks == [10, 10, 4]
    assert seen == [(8, 24), (16, 24), (24, 24)]

    # Killed in the second part: the first is there the next time.
    looks.clear()
    stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        predicted_by(teacher, faces, tmp_path / "one" / "teacher-predictions")
    stop_at = 0
    looks.clear()
    kept, _ = predicted_by(teacher, faces, tmp_path / "one" / "teacher-predictions")
    assert looks == [10, 4]
    np.testing.assert_array_equal(kept.age, plain.age)
    np.testing.assert_array_equal(kept.p_male, plain.p_male)

    # Another run beside it asks nobody, for other rows of the same faces either.
    looks.clear()
    rows = np.array([23, 3, 11])
    part, _ = predicted_by(teacher, faces, tmp_path / "two" / "teacher-predictions", rows)
    assert looks == []
    np.testing.assert_array_equal(part.age, plain.age[:, rows])
    assert not (tmp_path / "two").exists()

    # Other faces, or the same teacher without mirrored views, are another matter.
    predicted_by(teacher, FaceSet([make_store(n=12)]), tmp_path / "two" / "teacher-predictions")
    assert looks == [10, 2]
    predicted_by(load_predictor(wrong_teacher, flip=False), faces, tmp_path / "two" / "teacher-predictions")
    assert looks == [10, 2, 10, 10, 4]


def test_teachers_look_at_views_once_and_keep_what_they_say_of_them(
    make_store: Any, undecided_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agegender_train.training.teachers._KEPT_TOGETHER", 10)
    looks: list[int] = []
    for name in ("predict_chips", "predict_inputs"):
        method = getattr(Predictor, name)

        def counted(self: Predictor, given: np.ndarray, method: Any = method) -> Any:
            looks.append(len(given))
            return method(self, given)

        monkeypatch.setattr(Predictor, name, counted)
    faces, rows = FaceSet([make_store(n=24)]), np.arange(2, 23)
    (teacher,) = load_teachers([str(undecided_teacher)], faces, False, 1)
    views = Views(2, Augmentation(surroundings=0.9), seed=5)

    def ask(run: str, rows: np.ndarray = rows, views: Views = views) -> tuple[TeacherTargets, list[int]]:
        looks.clear()
        predictions = TeacherPredictions(tmp_path / run / "teacher-predictions", threads=2)
        return teacher_targets([teacher], faces, rows, 0.5, predictions, views), list(looks)

    _, asked = ask("plain", views=Views())
    assert asked == [10, 10, 4]
    first, asked = ask("one")
    assert asked == 2 * [10, 10, 1], "the faces as they are were there"
    assert first.age.shape == (3, 21, 1)
    assert first.p_male.shape == (3, 21, 1)
    again, asked = ask("two")
    assert asked == []
    np.testing.assert_array_equal(again.age, first.age)
    for other, more in (
        (Views(2, Augmentation(), seed=5), [10, 10, 1] * 2),
        (Views(2, views.augmentation, seed=6), [10, 10, 1] * 2),
        (Views(3, views.augmentation, seed=5), [10, 10, 1]),
    ):
        assert ask("two", views=other)[1] == more
    assert ask("two", rows=rows[:-1])[1] == [10, 10] * 2, "others may be around the faces"

    # As if each face had been asked for by itself.
    for view in (1, 2):
        changes, around = views.changes(np.full(1, view), rows[7:8], rows)
        other = [None if one < 0 else faces.chips(np.array([one]))[0] for one in around]
        inputs = augment(faces.chips(rows[7:8]), changes, teacher.spec, other)
        alone = teacher.predict_inputs(inputs)
        np.testing.assert_allclose(first.age[view, 7, 0], alone.age, rtol=1e-5)
        np.testing.assert_allclose(first.p_male[view, 7, 0], alone.p_male, rtol=1e-5)
    assert (np.abs(np.diff(first.p_male[:, :, 0], axis=0)) > 1e-4).mean() > 0.8


def test_a_network_sees_one_of_the_views_in_each_epoch_with_what_was_said_of_it(make_store: Any) -> None:
    faces, rows = FaceSet([make_store(n=40)]), np.arange(8, 40)
    views, spec = Views(3, Augmentation(), seed=1), PreprocessSpec(24, chip_size=72)
    said = np.float32(100 * np.arange(4)[:, None] + rows)[..., None]
    teacher = TeacherTargets(said, np.float32(np.arange(4)[:, None, None] / 8 + np.zeros((32, 1))), share=1.0)
    batches = Batches(faces, rows, spec, 16, seed=1, augmentation=Augmentation(), teacher=teacher, views=views)
    seen = np.zeros((4, 40), int)
    for index in range(2 * 30):
        batch = batches[index]
        view, row = np.divmod(batch.targets["age"][:, 2].astype(int), 100)
        np.testing.assert_array_equal(batch.targets["gender"][:, 0], view / 8)
        np.add.at(seen, (view, row), 1)
        if index < 6:
            changes, around = views.changes(view, row, rows)
            expected = augment(faces.in_place(row), changes, spec, faces.in_place_or_none(around))
            np.testing.assert_array_equal(batch.inputs, expected)
            as_it_is = view == 0
            chips = preprocess(faces.chips(row[as_it_is]), spec)
            np.testing.assert_allclose(batch.inputs[as_it_is], chips, atol=0.05)
    assert (seen[:, 8:].sum(axis=0) == 30).all()
    assert (seen[:, 8:] > 0).mean() > 0.98
    assert seen.sum(axis=1) / seen.sum() == pytest.approx(np.full(4, 0.25), abs=0.05)


@pytest.mark.slow
def test_a_network_believes_its_teacher_as_far_as_it_is_told_to(
    make_store: Any, wrong_teacher: Path, tiny_network: str, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {
        "model": tiny_network,
        "epochs": 8,
        "batch_size": 16,
        "learning_rate": 0.01,
        "ema": 0.0,
        "teachers": (str(wrong_teacher),),
    }
    store = make_store(n=96)
    bias = {}
    for share in (0.0, 1.0):
        steps: list[tuple[int, int, int]] = []
        result = train(
            [store],
            tmp_path / f"{share}",
            Settings(**asked, teacher_share=share),
            lambda now, steps=steps: steps.append((now.epoch, now.step, now.steps)),
        )
        epoch, looked_at, faces = steps[0]
        assert epoch == 0
        assert looked_at == faces > 60
        bias[share] = result.metrics["middle_bias"]
    true_mean = store.labels().age.mean()
    assert bias[1.0] > bias[0.0] + 5
    assert true_mean + bias[1.0] == pytest.approx(60, abs=15)
    config = json.loads((tmp_path / "1.0/config.json").read_text())
    assert config["teachers"][0]["name"] == "wrong"
    assert config["settings"]["teachers"] == [str(wrong_teacher)]


def test_what_no_teacher_can_be_is_said(make_store: Any, wrong_teacher: Path, tmp_path: Path) -> None:
    store = make_store(n=32)
    with pytest.raises(ValueError, match="gives years only"):
        train(
            [store],
            tmp_path / "a",
            Settings(
                model="mobilenetv2",
                input_size=32,
                age_loss="cross-entropy",
                batch_size=8,
                teachers=(str(wrong_teacher),),
            ),
        )
    with pytest.raises(ValueError, match="wants chips of 140 px"):
        train([store], tmp_path / "b", Settings(batch_size=8, teachers=("ssrnet",)))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train([store], tmp_path / "c", Settings(batch_size=8, teachers=("nowhere.onnx",)))
    with pytest.raises(ValueError, match="teacher_share must be in"):
        Settings(teacher_share=2.0)
    with pytest.raises(ValueError, match="teacher_views needs a teacher, got 3 without one"):
        Settings(teacher_views=3)
    with pytest.raises(ValueError, match="teacher_views needs an augmentation, got 3 without any"):
        Settings(teacher_views=3, teachers=("ssrnet",), augmentation=Augmentation.none())
    with pytest.raises(ValueError, match="teacher_views must not be negative, got -1"):
        Settings(teacher_views=-1)
