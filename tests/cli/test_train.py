from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from agegender_cli.errors import UserError
from agegender_cli.main import app
from agegender_core.predict import load_predictor
from agegender_train.batches.augmentation import Augmentation
from agegender_train.runs.config import help_texts
from agegender_train.runs.settings import CHOICES, LEFT_TO_THE_NETWORK, Settings
from agegender_train.splits import list_splits
from agegender_train.store import Store

MakeStore = Callable[..., Store]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def test_a_store_becomes_a_model_file(make_store: MakeStore, tiny_network: str, tmp_path: Path) -> None:
    store, out = make_store(n=64), tmp_path / "run"
    options = ("--model", tiny_network, "--epochs", 1, "--batch-size", 16, "--width", 0.25)
    options += ("--margin", 0.2, "--licence", "CC0", "--no-augment")
    result = run(store.path, "--output", out, *options)
    assert result.exit_code == 0, (result.output, result.exception)
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["model_options"] == {"width": 0.25}
    assert config["settings"]["augmentation"]["flip"] == 0
    predictor = load_predictor(out / "model.onnx")
    assert predictor.spec.margin == 0.2
    assert predictor.metadata["agegender.licence"] == "CC0"
    table = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if "years" not in line)
    assert table["best epoch"] == "1"
    assert table["gender accuracy"].endswith("%")
    assert "steps" not in result.stdout
    assert "model.onnx is ready" in result.stderr

    again = run(store.path, "--output", out, "--batch-size", 16)
    assert isinstance(again.exception, FileExistsError)
    assert "already holds a run" in str(again.exception)


@pytest.mark.slow
def test_folds_become_a_table_and_the_best_folds_model(
    make_store: MakeStore, tiny_network: str, tmp_path: Path
) -> None:
    store, out = make_store("cli-folds", n=40, subjects=20), tmp_path / "runs"
    asked = ("--folds", 2, "--fold-seed", 3, "--epochs", 1, "--batch-size", 16, "--model", tiny_network)
    result = run(store.path, "--output", out, *asked)
    assert result.exit_code == 0, (result.output, result.exception)
    assert list_splits(store) == ["folds-2-seed-3"]
    title, *rows = (line.split("  ") for line in result.stdout.splitlines())
    titles = [word.strip() for word in title if word]
    assert titles == ["fold", "n", "epochs", "best", "loss", "to middle", "bias", "to group", "in group", "gender"]
    assert [row[0].strip() for row in rows] == ["0", "1", "mean", "std"]
    lines = [line.split() for line in result.stdout.splitlines()]
    assert sum(int(line[1]) for line in lines[1:3]) == 40
    assert float(lines[3][1]) == pytest.approx((float(lines[1][4]) + float(lines[2][4])) / 2, abs=0.002)
    assert "model.onnx is that of fold" in result.stderr
    assert "the best by val_loss" in result.stderr
    assert load_predictor(out / "model.onnx").name == "tiny"

    # All is there: nothing is trained again.
    as_json = run(store.path, "--output", out, *asked, "--format", "json", "--quiet")
    assert json.loads(as_json.stdout) == json.loads((out / "folds.json").read_text())
    assert as_json.stderr.startswith(str(out / "model.onnx"))
    as_csv = run(store.path, "--output", out, *asked, "--format", "csv")
    assert "finished before" in as_csv.stderr
    assert as_csv.stdout == (out / "folds.csv").read_text()
    assert [row["n_training"] for row in csv.DictReader(as_csv.stdout.splitlines())] == [
        str(40 - int(line[1])) for line in lines[1:3]
    ]


class AskedError(Exception):
    """Carries the settings that a training was asked for."""


@pytest.fixture
def settings_of(make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """What a command line asks the training for."""

    def asked(stores: Any, out: Path, settings: Settings, progress: Any) -> None:
        raise AskedError(settings)

    monkeypatch.setattr("agegender_train.training.train", asked)

    def settings_of(*options: object, store: Store | None = None) -> Settings:
        result = run((store or make_store(n=8)).path, "--output", tmp_path / "run", *options)
        assert isinstance(result.exception, AskedError), (result.output, result.exception)
        settings: Settings = result.exception.args[0]
        return settings

    return settings_of


OPTIONS: dict[str, tuple[tuple[object, ...], Any]] = {
    "model": (("--model", "ssrnet"), "ssrnet"),
    "model_options": (("--model-option", "stages=4,4,4", "--mix", 5), {"stages": (4, 4, 4), "mix": 5}),
    "input_size": (("--input-size", 72), 72),
    "margin": (("--margin", 0.3), 0.3),
    "epochs": (("--epochs", 9), 9),
    "batch_size": (("--batch-size", 4), 4),
    "learning_rate": (("--learning-rate", 0.02), 0.02),
    "schedule": (("--schedule", "step"), "step"),
    "step_epochs": (("--step-epochs", "3,5"), (3, 5)),
    "weight_decay": (("--weight-decay", 0.01), 0.01),
    "ema": (("--ema", 0.9), 0.9),
    "seed": (("--seed", 7), 7),
    "validation_fraction": (("--validation", 0.2), 0.2),
    "split": (("--split", "folds-2"), "folds-2"),
    "fold": (("--fold", 1), 1),
    "weights": (("--weights", "none"), "none"),
    "frozen_epochs": (("--frozen-epochs", 2), 2),
    "train_from": (("--train-from", "layer"), "layer"),
    "age_loss": (("--age-loss", "expected"), "expected"),
    "age_loss_options": (("--age-loss-option", "pull=0.5"), {"pull": 0.5}),
    "age_weight": (("--age-weight", 0.3), 0.3),
    "gender_weight": (("--gender-weight", 2), 2.0),
    "gender_smoothing": (("--gender-smoothing", 0.1), 0.1),
    "teachers": (("--teacher", "a.onnx", "--teacher", "ssrnet"), ("a.onnx", "ssrnet")),
    "teacher_share": (("--teacher-share", 0.7), 0.7),
    "teacher_views": (("--teacher-views", 4), 4),
    "balance": (("--balance", 0.5), 0.5),
    "augmentation": (("--augmentation", "rotation=15"), Augmentation(rotation=15)),
    "accumulate": (("--accumulate", 2), 2),
    "precision": (("--precision", "mixed_bfloat16"), "mixed_bfloat16"),
    "best_by": (("--best-by", "middle_mae"), "middle_mae"),
    "patience": (("--patience", 4), 4),
    "checkpoint_minutes": (("--checkpoint-minutes", 1.5), 1.5),
    "deterministic": (("--deterministic",), True),
    "tensorboard": (("--tensorboard",), True),
    "device": (("--device", "auto"), "auto"),
    "data_parallel": (("--data-parallel",), True),
    "workers": (("--workers", 3), 3),
    "cache_bytes": (("--cache", 0.5), 5e8),
    "licence": (("--licence", "CC0"), "CC0"),
}


def test_every_setting_has_an_option(make_store: MakeStore, settings_of: Callable[..., Settings]) -> None:
    from agegender_train.splits import ready_folds

    assert set(OPTIONS) == {field.name for field in fields(Settings)}
    store = make_store(n=8)
    ready_folds([store], 2)
    settings = settings_of(*(word for options, _ in OPTIONS.values() for word in options), store=store)
    assert asdict(settings) == asdict(Settings(**{name: value for name, (_, value) in OPTIONS.items()}))
    assert settings_of("--batch-size", 128) == Settings()


def test_help_and_defaults_are_those_of_settings() -> None:
    texts = help_texts(Settings)
    assert set(texts) == {field.name for field in fields(Settings)}
    shown = {parameter.name: parameter for parameter in get_command(app).commands["train"].params}  # type: ignore[attr-defined]
    defaults = asdict(Settings())
    for name, text in texts.items():
        assert shown[name].help.lower().startswith(text.lower().removesuffix(".")), name
        assert shown[name].default is None
        value, default = defaults[name], shown[name].show_default
        if name in LEFT_TO_THE_NETWORK:
            assert default == "the network's"
        elif value in (None, False, "", (), {}) or name == "augmentation":
            assert default is False, name
        elif name == "cache_bytes":
            assert float(default) * 1e9 == value
        else:
            plain = ",".join(map(str, value)) if isinstance(value, tuple) else value
            assert type(plain)(default) == plain, name
    for change, value in asdict(Augmentation()).items():
        assert f"{change}={value:g}" in shown["augmentation"].help


def test_what_is_left_to_the_network_is_what_networks_recommend() -> None:
    from agegender_train.models import get_network, network_names

    assert {name for network in network_names() for name in get_network(network).recipe} <= LEFT_TO_THE_NETWORK


def test_all_that_may_be_named_is_in_the_help() -> None:
    from agegender_train.losses import AGE_LOSSES
    from agegender_train.models import network_names

    texts = help_texts(Settings)
    networks = [name for name in network_names() if name != "tiny"]  # which is a test's
    for name, choices in {**CHOICES, "model": networks, "age_loss": AGE_LOSSES}.items():
        missing = [choice for choice in choices if choice not in texts[name]]
        assert not missing or name in ("precision", "best_by"), name  # which have them in their metavar


def test_every_setting_can_be_set_by_name(make_store: MakeStore, settings_of: Callable[..., Settings]) -> None:
    from agegender_train.splits import ready_folds

    store = make_store(n=8)
    ready_folds([store], 2)
    wanted = Settings(**{name: value for name, (_, value) in OPTIONS.items()})
    words = []
    for name, value in asdict(wanted).items():
        if isinstance(value, dict):
            words += [f"{name}.{inner}={_typed(one)}" for inner, one in value.items()]
        else:
            words += [f"{name}={_typed(value)}"]
    settings = settings_of(*(word for text in words for word in ("--set", text)), store=store)
    assert asdict(settings) == asdict(wanted)


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def test_an_option_goes_before_set_and_set_before_a_file(settings_of: Callable[..., Settings], tmp_path: Path) -> None:
    file = tmp_path / "asked.toml"
    file.write_text(
        "epochs = 3\nbatch-size = 4\nlearning_rate = 1\nema = 0.5\n"
        "[augmentation]\nrotation = 15\nflip = 0.25\n[model_options]\nwidth = 0.5\nmix = 3\n"
    )
    settings = settings_of("--config", file, "--set", "epochs=5", "--set", "ema=0.25", "--epochs", 7, "--mix", 5)
    assert (settings.epochs, settings.ema, settings.batch_size, settings.learning_rate) == (7, 0.25, 4, 1.0)
    assert settings.model_options == {"width": 0.5, "mix": 5}
    assert settings.augmentation == Augmentation(rotation=15, flip=0.25)
    turned = settings_of("--config", file, "--set", "augmentation.rotation=5").augmentation
    assert turned == Augmentation(rotation=5, flip=0.25)
    assert settings_of("--config", file, "--augment").augmentation == Augmentation()
    assert settings_of("--config", file, "--no-augment").augmentation == Augmentation.none()


def test_a_file_goes_before_what_the_network_recommends(settings_of: Callable[..., Settings], tmp_path: Path) -> None:
    file = tmp_path / "asked.json"
    file.write_text('{"model": "mobilenetv2", "learning_rate": 0.5}')
    settings = settings_of("--config", file)
    assert (settings.model, settings.learning_rate, settings.age_loss) == ("mobilenetv2", 0.5, "cross-entropy")


@pytest.mark.slow
def test_a_run_is_repeated_by_its_config(make_store: MakeStore, tiny_network: str, tmp_path: Path) -> None:
    store, first, again = make_store("repeated", n=40), tmp_path / "first", tmp_path / "again"
    asked = ("--epochs", 1, "--batch-size", 16, "--model", tiny_network, "--augmentation", "rotation=15", "--quiet")
    for words in ((store.path, "--output", first, *asked), ("--config", first / "config.json", "--output", again)):
        result = run(*words)
        assert result.exit_code == 0, (result.output, result.exception)
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (first, again))
    assert before == after
    assert before["stores"] == [str(store.path)]
    losses = [
        [float(row["val_loss"]) for row in csv.DictReader((folder / "history.csv").read_text().splitlines())]
        for folder in (first, again)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.fixture
def repeat(make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Asks for the repetition of a run whose config.json is changed; the training itself raises AskedError."""
    from agegender_train.runs.folder import describe_data

    def asked(stores: Any, out: Path, settings: Settings, progress: Any) -> None:
        raise AskedError(stores, settings)

    monkeypatch.setattr("agegender_train.training.train", asked)
    store = make_store("repeated", n=8)
    settings = asdict(Settings(epochs=3, model_options={"stages": (3, 3, 3)}, augmentation=Augmentation(rotation=15)))
    config = {"settings": settings, "data": describe_data([store]), "stores": [str(store.path)]}
    (tmp_path / "first").mkdir()

    def repeat(*words: object, **changes: Any) -> Result:
        (tmp_path / "first" / "config.json").write_text(json.dumps({**config, **changes}))
        return run(*words, "--config", tmp_path / "first", "--output", tmp_path / "again")

    return repeat


def test_a_config_says_settings_and_stores(repeat: Callable[..., Result], make_store: MakeStore) -> None:
    stores, settings = repeat().exception.args  # type: ignore[union-attr]
    assert [store.name for store in stores] == ["repeated"]
    assert settings == Settings(epochs=3, model_options={"stages": (3, 3, 3)}, augmentation=Augmentation(rotation=15))
    # Stores that are named are taken as they are.
    other = make_store("other", n=8)
    result = repeat(other.path)
    assert [store.path for store in result.exception.args[0]] == [other.path]  # type: ignore[union-attr]
    assert f"{other.path} is not what the run of" in result.stderr
    assert "is not what" not in repeat(stores[0].path).stderr


def test_a_store_of_a_run_that_is_gone_or_changed_is_named(
    repeat: Callable[..., Result], make_store: MakeStore, tmp_path: Path
) -> None:
    changed, gone = make_store("other", n=8).path, tmp_path / "gone"
    wanted = {
        f"{gone}, which {tmp_path / 'first' / 'config.json'} names, isn't there any more": [str(gone)],
        f"{changed} has changed since the run of": [str(changed)],
        "doesn't say where its store repeated is": None,
    }
    for message, stores in wanted.items():
        error = repeat(stores=stores).exception
        assert isinstance(error, UserError)
        assert message in str(error)
        assert "agegender train STORE... --config" in (error.hint or "")


def test_a_training_without_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "asked.toml").write_text("epochs = 3")
    for words in ((), ("--config", tmp_path / "asked.toml")):
        result = run(*words, "--output", tmp_path / "run")
        assert str(result.exception) == "STORE is missing"


def test_augmentation_starts_from_all_or_from_nothing(settings_of: Callable[..., Settings]) -> None:
    assert settings_of("--no-augment").augmentation == Augmentation.none()
    assert settings_of("--augment").augmentation == Augmentation()
    alone = settings_of("--no-augment", "--augmentation", "flip=0.5", "--augmentation", "shift = 0.1").augmentation
    assert asdict(alone) == {**asdict(Augmentation.none()), "flip": 0.5, "shift": 0.1}


@pytest.mark.parametrize(
    ("text", "value"),
    [("mix=8", 8), ("width=0.5", 0.5), ("stages=3,3,3", (3, 3, 3)), ("width=true", True), ("mix=x", "x")],
)
def test_an_argument_of_the_network_is_what_it_looks_like(
    settings_of: Callable[..., Settings], text: str, value: Any
) -> None:
    found = settings_of("--model-option", text).model_options
    assert found == {text.split("=")[0]: value}
    assert isinstance(next(iter(found.values())), type(value))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "vgg"), "--model must be one of .*ssrnet.*, got 'vgg'"),
        (("--model", "mobilnetv2"), "--model must be one of .*, got 'mobilnetv2'\ndid you mean mobilenetv2"),
        (("--schedule", "cosin"), "--schedule must be .*, got 'cosin'\ndid you mean cosine"),
        (("--age-loss", "ordnal"), "--age-loss must be one of .*, got 'ordnal'\ndid you mean ordinal"),
        (("--device", "gpu:9"), "--device 'gpu:9' is not there"),
        (("--margin", "0.7"), "margin"),
        (("--schedule", "fast"), "--schedule must be cosine, step or constant"),
        (("--learning-rate", "0"), "--learning-rate must be above 0"),
        (("--step-epochs", "3;4"), "--step-epochs must be whole numbers with commas between, got '3;4'"),
        (("--age-loss-option", "pull=x"), "--age-loss-option pull must be a number, got 'x'"),
        (("--augmentation", "flip=often"), "--augmentation flip must be a number, got 'often'"),
        (("--augmentation", "flp=1"), "there is no setting 'augmentation.flp'\ndid you mean augmentation.flip"),
        (("--set", "epoch=1"), "there is no setting 'epoch'\ndid you mean epochs"),
        (("--augmentation", "flip=2"), r"flip must be in \[0, 1\], got 2"),
        (("--frozen-epochs", "1"), "ssrnet has no trunk to freeze: --frozen-epochs must be 0"),
        (("--epochs", "0"), "^--epochs must be at least 1, got 0"),
        (("--set", "epochs=0"), "^epochs must be at least 1, got 0"),
        (("--folds", "1"), r"folds must be in 2\.\.1000, got 1"),
        (("--folds", "9"), "folds must be at most 8"),
    ],
)
def test_mistakes_are_one_sentence(
    make_store: MakeStore, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    result = run(make_store(n=8).path, "--output", tmp_path / "run", "--batch-size", 4, *options)
    assert isinstance(result.exception, ValueError)
    with pytest.raises(ValueError, match=message):
        raise result.exception
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (("--model-option", "=3"), "--model-option must look like NAME=VALUE, got '=3'", "--model-option NAME=VALUE"),
        (("--age-loss-option", "pull"), "--age-loss-option must look like NAME=VALUE, got 'pull'", "NAME=VALUE"),
        (("--set", "epochs"), "--set must look like NAME=VALUE, got 'epochs'", "--set NAME=VALUE"),
        (("--model-option", "alpha=1"), "ssrnet has no argument 'alpha'", "it has stages, width, mix"),
        (("--folds", "3", "--split", "x"), "--folds and --split exclude each other", "--folds NAME"),
        (("--folds", "3", "--validation", "0.2"), "--folds and --validation exclude each other", "--folds NAME"),
        (
            ("--folds", "official", "--fold-seed", "2"),
            "--fold-seed is of no use with an existing split",
            "--folds NUMBER",
        ),
        (("--fold-seed", "2"), "--fold-seed is of no use without --folds", None),
    ],
)
def test_mistakes_come_with_a_hint(
    make_store: MakeStore, tmp_path: Path, options: tuple[str, ...], message: str, hint: str | None
) -> None:
    result = run(make_store(n=8).path, "--output", tmp_path / "run", "--batch-size", 4, *options)
    assert isinstance(result.exception, UserError), result.exception
    assert message in str(result.exception)
    assert (result.exception.hint is None) == (hint is None)
    assert hint is None or hint in (result.exception.hint or "")


@pytest.mark.parametrize(("faces", "batch"), [(54, 8), (9, 2), (3, 1)])
def test_few_faces_go_in_smaller_batches(
    faces: int, batch: int, make_store: MakeStore, settings_of: Callable[..., Settings]
) -> None:
    assert settings_of(store=make_store(n=faces)).batch_size == batch


def test_a_smaller_batch_is_said(make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_train.training.train", lambda *_: None)
    said = run(make_store(n=54).path, "--output", tmp_path / "run").stderr
    assert said == "There are fewer than 128 faces to learn from: they go in batches of 8\n"
    # Whoever names a size gets it, or an error.
    assert run(make_store(n=54).path, "--output", tmp_path / "run", "--batch-size", 16).stderr == ""


def test_a_batch_that_is_asked_for_and_too_large_is_refused(make_store: MakeStore, tmp_path: Path) -> None:
    result = run(make_store(n=54).path, "--output", tmp_path / "run", "--batch-size", 128)
    assert re.match(
        r"--batch-size must be in 1\.\.\d\d, the number of faces to learn from, got 128", str(result.exception)
    )


def test_an_empty_store_is_refused_before_the_framework_is_loaded(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("training", "models"):
        monkeypatch.setitem(sys.modules, f"agegender_train.{module}", None)
    store = make_store(n=0)
    result = run(store.path, "--output", tmp_path / "run")
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == f"there is nothing to learn from: {store.path} holds no face"


def test_faces_without_labels_are_no_faces_to_learn_from(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store(n=8, aged=False, genders=(None,))
    result = run(store.path, "--output", tmp_path / "run")
    assert str(result.exception) == "there is nothing to learn from: no face of made has an age or a gender"


def test_a_target_is_no_source(make_store: MakeStore, tmp_path: Path) -> None:
    store = make_store(n=8)
    (tmp_path / "link").symlink_to(store.path, target_is_directory=True)
    settings = tmp_path / "settings.json"
    settings.write_text("{}")
    before = {path: path.stat().st_mtime_ns for path in store.path.rglob("*")}
    for output, why in (
        (store.path, "itself, which is read"),
        (store.path / "run", "which is read"),
        (tmp_path / "link", "itself, which is read"),
        (tmp_path / "link" / "run", "which is read"),
        (settings, "is a file, and must be a folder"),
    ):
        result = run(store.path, "--config", settings, "--output", output)
        assert isinstance(result.exception, UserError), output
        assert why in str(result.exception)
    assert before == {path: path.stat().st_mtime_ns for path in store.path.rglob("*")}


@pytest.mark.slow
def test_a_source_inside_the_target_stays_as_it_is(make_store: MakeStore, tiny_network: str, tmp_path: Path) -> None:
    out, store = tmp_path / "run", tmp_path / "run" / "stores" / "made"
    shutil.copytree(make_store(n=64).path, store)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    result = run(store, "--output", out, "--model", tiny_network, "--epochs", 1, "--quiet")
    assert result.exit_code == 0, (result.output, result.exception)
    assert before == {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_a_model_of_somebody_elses_is_not_replaced(make_store: MakeStore, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("mine")
    result = run(make_store(n=8).path, "--output", tmp_path)
    assert isinstance(result.exception, FileExistsError)
    assert "holds model.onnx and no run" in str(result.exception)
    assert "folds" in str(run(make_store(n=8).path, "--output", tmp_path, "--folds", 2).exception)


def test_what_a_file_says_keeps_its_name_and_what_is_typed_gets_its_option(
    make_store: MakeStore, tmp_path: Path
) -> None:
    (tmp_path / "settings.json").write_text('{"epochs": 0}')
    asked = (make_store(n=8).path, "--config", tmp_path / "settings.json", "--output", tmp_path / "run")
    assert str(run(*asked).exception) == "epochs must be at least 1, got 0"
    assert str(run(*asked, "--epochs", -1).exception) == "--epochs must be at least 1, got -1"


def test_a_folder_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    result = run(tmp_path / "folder", "--output", tmp_path / "run")
    assert isinstance(result.exception, ValueError)
    assert str(tmp_path / "folder") in str(result.exception)


@pytest.mark.parametrize("options", [("--split", "ten", "--fold", 1), ("--folds", "ten")])
def test_a_missing_split_is_refused_before_the_framework_is_loaded(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...]
) -> None:
    for module in ("training", "models"):
        monkeypatch.setitem(sys.modules, f"agegender_train.{module}", None)
    result = run(make_store(n=8).path, "--output", tmp_path / "run", *options)
    assert isinstance(result.exception, FileNotFoundError)
    assert "has no split 'ten'" in str(result.exception)


def test_ctrl_c_says_how_to_go_on(make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agegender_train.training.train", interrupted)
    result = run(make_store(n=8).path, "--output", tmp_path / "run", "--quiet")
    assert result.exit_code == 130
    assert result.stderr == "Stopped. The same command goes on from there.\n"
