from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from agegender_cli.errors import UserError
from agegender_cli.train import train
from agegender_core.predict import load_predictor
from agegender_train.batches.augment import Augmentation
from agegender_train.runs.settings import Settings
from agegender_train.splits import list_splits
from agegender_train.store import Store

MakeStore = Callable[..., Store]
app = typer.Typer()
app.command()(train)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_store_becomes_a_model_file(make_store: MakeStore, tmp_path: Path) -> None:
    store, out = make_store(n=64), tmp_path / "run"
    options = ("--epochs", 1, "--batch-size", 16, "--width", 0.25, "--margin", 0.2, "--licence", "CC0", "--no-augment")
    result = run(store.path, "--out", out, *options)
    assert result.exit_code == 0, (result.output, result.exception)
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["model_options"] == {"width": 0.25}
    assert config["settings"]["augmentation"]["flip"] == 0
    predictor = load_predictor(out / "model.onnx")
    assert predictor.spec.margin == 0.2
    assert predictor.metadata["agegender.licence"] == "CC0"
    table = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if "years" not in line)
    assert table["best epoch"] == "1"
    assert table["gender right"].endswith("%")
    assert "steps" not in result.stdout
    assert "model.onnx is ready" in result.stderr

    again = run(store.path, "--out", out, "--batch-size", 16)
    assert isinstance(again.exception, FileExistsError)
    assert "already holds a run" in str(again.exception)


def test_folds_become_a_table_and_the_best_folds_model(make_store: MakeStore, tmp_path: Path) -> None:
    store, out = make_store("cli-folds", n=40, subjects=20), tmp_path / "runs"
    asked = ("--folds", 2, "--fold-seed", 3, "--epochs", 1, "--batch-size", 16, "--model-option", "width=0.25")
    result = run(store.path, "--out", out, *asked)
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
    assert load_predictor(out / "model.onnx").name == "ssrnet"

    # All is there: nothing is trained again.
    as_json = run(store.path, "--out", out, *asked, "--format", "json", "--quiet")
    assert json.loads(as_json.stdout) == json.loads((out / "folds.json").read_text())
    assert as_json.stderr.startswith(str(out / "model.onnx"))
    as_csv = run(store.path, "--out", out, *asked, "--format", "csv")
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
        result = run((store or make_store(n=8)).path, "--out", tmp_path / "run", *options)
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
    "teachers": (("--teacher", "a.onnx", "--teacher", "ssrnet"), ["a.onnx", "ssrnet"]),
    "teacher_share": (("--teacher-share", 0.7), 0.7),
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
    assert settings_of() == Settings()


def test_the_defaults_that_are_shown_are_those_that_hold() -> None:
    words = {
        "width": "1",
        "mix": "one a bin",
        "train_from": "all learn",
        "fold_seed": "1",
        "augment": "augment",
        "cache_bytes": "4",
        **dict.fromkeys(
            ("input_size", "weights", "frozen_epochs", "learning_rate", "age_loss", "age_weight"), "the network's"
        ),
    }
    shown: dict[str, str] = {}
    for parameter in typer.main.get_command(app).params:
        default = getattr(parameter, "show_default", None)
        if isinstance(default, str):
            shown[str(parameter.name)] = default
    defaults = Settings()
    assert defaults.cache_bytes == 4e9
    for name, default in shown.items():
        value = getattr(defaults, name, None)
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        assert default == words.get(name, text.removesuffix(".0")), name
    silent = {"model_options", "teachers", "split", "fold", "age_loss_options", "augmentation", "licence"}
    assert {field.name for field in fields(Settings)} - set(shown) - silent == {
        "model",
        "deterministic",
        "tensorboard",
        "data_parallel",
    }


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
        (("--model", "vgg"), "name must be one of .*ssrnet.*, got 'vgg'"),
        (("--device", "gpu:9"), "device 'gpu:9' is not there"),
        (("--margin", "0.7"), "margin"),
        (("--schedule", "fast"), "schedule must be cosine, step or constant"),
        (("--learning-rate", "0"), "learning_rate must be above 0"),
        (("--step-epochs", "3;4"), "step_epochs must be whole numbers with commas between, got '3;4'"),
        (("--age-loss-option", "pull"), "--age-loss-option must look like NAME=NUMBER, got 'pull'"),
        (("--augmentation", "flip=often"), "--augmentation must look like NAME=NUMBER, got 'flip=often'"),
        (("--augmentation", "flip=2"), r"flip must be in \[0, 1\], got 2"),
        (("--model-option", "=3"), "--model-option must look like NAME=VALUE, got '=3'"),
        (("--folds", "1"), r"folds must be in 2\.\.1000, got 1"),
        (("--folds", "9"), "folds must be at most 8"),
    ],
)
def test_mistakes_are_one_sentence(
    make_store: MakeStore, tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    result = run(make_store(n=8).path, "--out", tmp_path / "run", "--batch-size", 4, *options)
    assert isinstance(result.exception, ValueError)
    with pytest.raises(ValueError, match=message):
        raise result.exception
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (("--augmentation", "flp=1"), "--augmentation knows no 'flp'", "there is flip, shift"),
        (("--model-option", "alpha=1"), "ssrnet has no argument 'alpha'", "it has stages, width, mix"),
        (("--folds", "3", "--split", "x"), "--folds and --split exclude each other", "--folds NAME"),
        (("--folds", "3", "--validation", "0.2"), "--folds and --validation exclude each other", "--folds NAME"),
        (("--folds", "official", "--fold-seed", "2"), "--fold-seed is of no use with a split", "--folds NUMBER"),
        (("--fold-seed", "2"), "--fold-seed is of no use without --folds", None),
    ],
)
def test_mistakes_come_with_a_hint(
    make_store: MakeStore, tmp_path: Path, options: tuple[str, ...], message: str, hint: str | None
) -> None:
    result = run(make_store(n=8).path, "--out", tmp_path / "run", "--batch-size", 4, *options)
    assert isinstance(result.exception, UserError), result.exception
    assert message in str(result.exception)
    assert (result.exception.hint is None) == (hint is None)
    assert hint is None or hint in (result.exception.hint or "")


def test_a_folder_that_is_no_store_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "--out", tmp_path / "run")
    assert isinstance(result.exception, ValueError)
    assert str(tmp_path) in str(result.exception)


@pytest.mark.parametrize("options", [("--split", "ten", "--fold", 1), ("--folds", "ten")])
def test_a_missing_split_is_refused_before_the_framework_is_loaded(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[object, ...]
) -> None:
    for module in ("training", "models"):
        monkeypatch.setitem(sys.modules, f"agegender_train.{module}", None)
    result = run(make_store(n=8).path, "--out", tmp_path / "run", *options)
    assert isinstance(result.exception, FileNotFoundError)
    assert "has no split 'ten'" in str(result.exception)


def test_ctrl_c_says_how_to_go_on(make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("agegender_train.training.train", interrupted)
    result = run(make_store(n=8).path, "--out", tmp_path / "run", "--quiet")
    assert result.exit_code == 130
    assert result.stderr == "Stopped. The same command goes on from there.\n"
