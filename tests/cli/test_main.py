"""What is common to all commands, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from agegender_cli.family import OLD_SPELLINGS
from agegender_cli.main import app

AGEGENDER = Path(sys.executable).parent / "agegender"
Here = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
PRINT_FIGURES = [name for name in COMMANDS if name not in ("stream", "zones", "serve", "review", "card")]


def run(*arguments: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [AGEGENDER, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result


def options(name: str) -> dict[str, Any]:
    """The parameters of a command by each spelling of their options."""
    return {
        spelling: parameter
        for parameter in COMMANDS[name].params
        if parameter.param_type_name == "option"
        for spelling in parameter.opts
    }


def choices(name: str, option: str) -> list[str]:
    context = COMMANDS[name].make_context(name, [], resilient_parsing=True)
    signature, _ = options(name)[option].get_help_record(context)
    return signature.partition("<")[2].removesuffix(">").split("|")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["predict", "no/such.jpg"], "no/such.jpg: there is no such file, folder or match"),
        (["predict", "SAMPLE", "--model", "no.onnx"], "no model file at no.onnx"),
        (["predict", "SAMPLE", "--model", "SAMPLE"], "is no ONNX model"),
        (["stream", "no.mp4", "--no-show", "--tracks", "-"], "no.mp4"),
        (["stream", "SAMPLE", "--no-show", "--tracks", "-"], "agegender predict"),
        (["preprocess", "utkface", "no/such", "--output", "STORE"], "no/such"),
        (["preprocess", "nonsense", "SAMPLE", "--output", "STORE"], "nonsense"),
        (["train", "no/such", "--output", "RUN"], "no/such"),
        (["eval", "no/such", "--output", "REPORT"], "no/such"),
        (["benchmark", "--picture", "no.jpg"], "no.jpg"),
        (["benchmark", "--format", "jsonl"], "jsonl"),
        (["predict", "SAMPLE", "--upsample", "9"], "upsample"),
    ],
)
def test_mistakes_get_one_sentence(
    here: Here, arguments: list[str], why: str, tmp_path: Path, astronaut_path: Path
) -> None:
    names = {"SAMPLE": str(astronaut_path), "STORE": str(tmp_path / "s"), "RUN": str(tmp_path / "r")}
    names["REPORT"] = str(tmp_path / "e")
    result = here(*(names.get(argument, argument) for argument in arguments), code=2)
    assert why in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_is_the_exit_code_of_the_process() -> None:
    result = run("predict", "no/such.jpg", code=2)
    assert result.stdout == ""
    assert "no/such.jpg: there is no such file, folder or match" in result.stderr


def test_an_internal_error_is_called_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from agegender_cli import main

    def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(main, "app", broken)
    monkeypatch.delenv("AGEGENDER_DEBUG", raising=False)
    with pytest.raises(SystemExit) as end:
        main.main()
    assert end.value.code == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("agegender: internal error: RuntimeError: a bug\n  hint: AGEGENDER_DEBUG=1")
    monkeypatch.setenv("AGEGENDER_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main.main()


def test_help_is_quick() -> None:
    # Compiled modules are kept from the first run on, as they are where a package is installed.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    commands = {"help": [AGEGENDER, "--help"], "typer": [sys.executable, "-c", "import typer"]}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(6):
        for name, command in commands.items():
            start = os.times()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            end = os.times()
            seconds[name].append(end.children_user + end.children_system - start.children_user - start.children_system)
    # Processor time, the least of it, beside what the command line is made with: the machine may be slow or busy. By
    # NumPy and OpenCV, which most commands need, it would be over four times as much.
    assert min(seconds["help"]) < 2.4 * min(seconds["typer"])


def test_the_list_of_commands_builds_none_of_them() -> None:
    program = (
        "import sys\nfrom agegender_cli.main import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'agegender_train', 'agegender_core', 'numpy', 'rich'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.slow
def test_without_the_training_package_the_others_answer() -> None:
    """Of `train` the options come from the training package, too."""
    program = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "absent = lambda name, *rest: None if name == 'agegender_train' else find(name, *rest)\n"
        "importlib.util.find_spec = absent\n"
        "sys.modules['agegender_train'] = None\n"
        "from agegender_cli.main import main\n"
        "sys.argv[0] = 'agegender'\n"
        "main()"
    )

    def without(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)

    assert "calibrate" in without("--help").stdout
    for name in ("predict", "runs", "export", "eval"):
        assert "--help" in without(name, "--help").stdout
    for words in (("train", "--help"), ("train", "store", "--output", "run"), ("runs", "runs")):
        refused = without(*words)
        assert refused.returncode == 2
        assert refused.stdout == ""
        assert refused.stderr == (
            "agegender: this command needs the training package\n"
            "  hint: in a checkout of agegender: pip install packages/agegender-train (or uv sync, for all of it)\n"
        )


def test_version() -> None:
    assert run("--version").stdout.startswith("agegender 0.")


@pytest.mark.parametrize("name", PRINT_FIGURES)
def test_figures_come_as_table_json_or_csv(name: str) -> None:
    assert choices(name, "--format") == (["table", "json"] + ["jsonl"] * (name == "predict") + ["csv"])
    assert sorted(options(name)["--format"].opts) == ["--format", "-f"]


@pytest.mark.parametrize("name", COMMANDS)
def test_outputs_are_spelled_alike(name: str) -> None:
    there = options(name)
    assert "--out" not in there
    if "--output" in there:
        assert sorted(there["--output"].opts) == ["--output", "-o"]
    if "--report" in there:
        # Whether the audit is written as a page, too; benchmark reads one.
        assert name in ("preprocess", "benchmark")


@pytest.fixture
def parsed(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[dict[str, Any], str]]:
    """What a command would be called with, and what is said on stderr."""

    def parsed(name: str, *words: str) -> tuple[dict[str, Any], str]:
        arguments: dict[str, Any] = COMMANDS[name].make_context(name, [*words]).params
        captured = capsys.readouterr()
        assert captured.out == ""
        return arguments, captured.err

    return parsed


Parsed = Callable[..., tuple[dict[str, Any], str]]


def words_for(name: str) -> list[str]:
    """What a command can't do without, but for its output."""
    words = []
    for parameter in COMMANDS[name].params:
        if parameter.required and "--output" not in parameter.opts:
            words += ["x"] if parameter.param_type_name == "argument" else [parameter.opts[0], "x"]
    return words


@pytest.mark.parametrize("name", [name for name in COMMANDS if "--output" in options(name)])
def test_the_old_spelling_of_output_works_with_a_hint(name: str, parsed: Parsed) -> None:
    new, silent = parsed(name, *words_for(name), "--output", "there")
    assert silent == ""
    output = new["output"] if isinstance(new["output"], list) else [new["output"]]
    assert [str(one) for one in output] == ["there"]
    for old in (["--out", "there"], ["--out=there"]):
        again, said = parsed(name, *words_for(name), *old)
        assert again == new
        assert said == "agegender: --out is now called --output; the old name goes with the next release\n"
    assert "--out " not in CliRunner().invoke(app, [name, "--help"]).output


def test_what_export_calls_otherwise(parsed: Parsed) -> None:
    new, _ = parsed("export", "run", "--to", "tflite", "--format", "json")
    old, said = parsed("export", "run", "--format", "tflite", "--report", "json")
    assert old == new
    assert said.splitlines() == [
        "agegender: --format is now called --to; the old name goes with the next release",
        "agegender: --report is now called --format; the old name goes with the next release",
    ]
    assert parsed("export", "run", "--format=keras")[0]["to"] == "keras"


def test_what_follows_two_dashes_is_left_alone(parsed: Parsed) -> None:
    found, said = parsed("predict", "--", "--out")
    assert found["paths"] == ["--out"]
    assert said == ""


def test_all_commands_are_held_apart() -> None:
    """The contract in pyproject.toml lists each of them."""
    content = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (contract,) = (one for one in content["tool"]["importlinter"]["contracts"] if one["type"] == "independence")
    assert contract["modules"] == sorted(f"agegender_cli.{name}" for name in COMMANDS)


def test_each_old_spelling_leads_to_an_option() -> None:
    for old in OLD_SPELLINGS:
        names = [name for name in COMMANDS if old.command in (None, name)]
        assert any(old.new in options(name) for name in names)
        if old.values is not None:
            assert {*choices(str(old.command), old.new)} == old.values


def test_a_bar_is_shown_only_where_somebody_sees_it(capfd: pytest.CaptureFixture[str]) -> None:
    from agegender_cli.progress import phase_bars

    with phase_bars(quiet=False) as show:
        for done in range(5):
            show("near-duplicates", done, 4)
    assert capfd.readouterr() == ("", "")


def test_a_bar_on_a_terminal_counts_and_says_how_fast(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from agegender_cli.progress import phase_bars

    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with phase_bars(quiet=False, phases={"faces": ("Aligning faces", "pictures")}) as show:
        show("faces", 2, 4)
        show("faces", 4, 4)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Aligning faces" in captured.err
    assert "4/4" in captured.err
    with phase_bars(quiet=True) as show:
        show("faces", 4, 4)
    assert capsys.readouterr().err == ""


def test_json_is_one_document_even_of_what_json_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    from agegender_cli.output import print_json

    print_json({"mae": float("nan"), "rows": [{"loss": float("inf")}], "name": "Größe"})
    assert json.loads(capsys.readouterr().out) == {"mae": None, "rows": [{"loss": None}], "name": "Größe"}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_children_of_tests_hear_ctrl_c(start_process: Callable[..., Any]) -> None:
    import signal

    program = "import signal, time; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with start_process([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            assert process.communicate(timeout=20)[0] == "True\n"
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
