from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from agegender_train.batches.augmentation import Augmentation
from agegender_train.runs.config import KINDS, ask, complete, help_texts, merged, read_config
from agegender_train.runs.settings import Settings


def test_it_is_light() -> None:
    """The command line reads the settings to show its help."""
    program = (
        "import sys, agegender_train.runs.config;"
        "print(*{'numpy', 'cv2', 'pyarrow', 'keras', 'tensorflow', 'agegender_core'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_each_attribute_has_a_text_of_one_line() -> None:
    for kind in (Settings, Augmentation):
        texts = help_texts(kind)
        assert list(texts) == [field.name for field in fields(kind)]
        assert all(text and "\n" not in text and "  " not in text and "`" not in text for text in texts.values()) or (
            kind is Augmentation
        )
    assert help_texts(Augmentation)["occlusion"] == "probability of a rectangle of one colour over a part of the face."


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "3", 3),
        ("learning-rate", "1e-3", 0.001),
        ("step_epochs", "3, 5", (3, 5)),
        ("teachers", "a.onnx,b.onnx", ("a.onnx", "b.onnx")),
        ("input_size", "none", None),
        ("weights", "none", "none"),
        ("deterministic", "yes", True),
        ("model_options.stages", "3,3,3", {"stages": (3, 3, 3)}),
        ("age_loss_options.pull", "1", {"pull": 1.0}),
        ("augmentation.rotation", "15", {"rotation": 15.0}),
        ("augmentation", "false", asdict(Augmentation.none())),
    ],
)
def test_a_text_becomes_a_value_of_the_settings_type(name: str, text: str, value: Any) -> None:
    asked: dict[str, Any] = {}
    ask(asked, name, text)
    (found,) = asked.values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("epochs", "3.5", "epochs must be a whole number, got '3.5'"),
        ("epochs", "", "epochs must be a whole number, got ''"),
        ("ema", "much", "ema must be a number, got 'much'"),
        ("deterministic", "maybe", "deterministic must be true or false, got 'maybe'"),
        ("augmentation", "strong", "augmentation must be true or false, got 'strong'"),
        ("step_epochs", "3;4", "step_epochs must be whole numbers with commas between, got '3;4'"),
        ("model_options", "width=2", "model_options holds several values"),
        ("lerning_rate", "1", "there is no setting 'lerning_rate'\ndid you mean learning_rate?"),
        ("rotation", "1", "there is no setting 'rotation'\ndid you mean .*augmentation.rotation?"),
        ("epochs.first", "1", "there is no setting 'epochs.first'"),
        ("zzz", "1", "there is no setting 'zzz'\nthere are model, model_options"),
    ],
)
def test_what_does_not_fit_is_one_sentence(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask({}, name, text)


def test_nested_settings_are_put_together_name_by_name() -> None:
    first = {"epochs": 3, "augmentation": {"rotation": 5.0, "flip": 0.0}}
    both = merged(first, {"augmentation": {"rotation": 15.0}, "ema": 0.5})
    assert both == {"epochs": 3, "augmentation": {"rotation": 15.0, "flip": 0.0}, "ema": 0.5}
    assert first["augmentation"] == {"rotation": 5.0, "flip": 0.0}
    assert Settings(**complete(both)).augmentation == Augmentation(rotation=15, flip=0)


def test_all_settings_survive_a_file(tmp_path: Path) -> None:
    settings = Settings(
        model_options={"stages": (3, 3, 3), "width": 0.5},
        step_epochs=(3, 5),
        teachers=("a.onnx",),
        split="folds-5",
        fold=2,
        age_loss_options={"pull": 0.5},
        augmentation=Augmentation(rotation=15),
        cache_bytes=1e9,
    )
    file = tmp_path / "config.json"
    run = {"settings": asdict(settings), "data": [{"name": "made", "faces": 3, "fingerprint": "f00"}]}
    file.write_text(json.dumps({**run, "stores": ["/stores/made"], "backend": "tensorflow"}))
    config = read_config(file)
    assert Settings(**complete(config.settings)) == settings
    assert set(config.settings) == set(KINDS)
    (store,) = config.stores
    assert (store.path, store.name, store.fingerprint) == (Path("/stores/made"), "made", "f00")
    file.write_text(json.dumps(run))
    assert [store.path for store in read_config(file).stores] == [None]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "asked.toml"
    file.write_text('stores = ["a", "b"]\nlearning_rate = 1\naugmentation = false\nstep-epochs = [3, 5]\n')
    config = read_config(file)
    assert [store.path for store in config.stores] == [Path("a"), Path("b")]
    settings = Settings(**complete(config.settings))
    assert settings == Settings(learning_rate=1.0, augmentation=Augmentation.none(), step_epochs=(3, 5))
    assert isinstance(settings.learning_rate, float)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", "epochs = ", "a.toml is not valid TOML"),
        ("a.yaml", "epochs: 3", "a.yaml is not valid JSON: .*\na file in TOML has a name that ends in .toml"),
        ("a.json", "[3]", "a.json must hold settings by name, got a list"),
        ("a.json", '{"epochs": "3"}', "a.json: epochs must be a whole number, got '3'"),
        ("a.json", '{"epochs": true}', "a.json: epochs must be a whole number, got True"),
        ("a.json", '{"split": 3}', "a.json: split must be a text, got 3"),
        ("a.json", '{"step_epochs": 3}', "a.json: step_epochs must be a list, got 3"),
        ("a.json", '{"model_options": 3}', "a.json: model_options must hold values by name, got 3"),
        ("a.toml", "[augmentation]\nrotaton = 3", "no setting 'augmentation.rotaton'\ndid you mean augmentation.rota"),
        ("a.json", '{"augmentation.flip": 1}', "write 'augmentation' as a table of its own"),
        ("a.json", '{"stores": "here"}', "a.json: stores must be a list of paths, got 'here'"),
        ("a.toml", "epoch = 3", "a.toml: there is no setting 'epoch'\ndid you mean epochs"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_config(tmp_path / name)
