"""The command `agegender`: the list of its commands, and the one place that turns errors into sentences."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from .audit import audit
from .benchmark import benchmark
from .calibrate import calibrate
from .card import card
from .compare import compare
from .counts import counts
from .errors import UserError, hints
from .eval import evaluate
from .export import export
from .family import Command
from .output import message, use_utf8
from .predict import predict
from .preprocess import preprocess
from .review import review
from .runs import runs
from .serve import serve
from .split import split
from .stream import stream
from .train import train
from .train_options import settings_parameters
from .zones import zones


class _Commands(TyperGroup):
    """All commands, in the order in which they are needed."""

    def __init__(self, **arguments: Any) -> None:
        commands = (
            Command("predict", predict),
            Command("stream", stream),
            Command("zones", zones),
            Command("counts", counts),
            Command("serve", serve),
            Command("preprocess", preprocess),
            Command("audit", audit),
            Command("review", review),
            Command("split", split),
            Command("train", train, settings_parameters),
            Command("runs", runs),
            Command("eval", evaluate),
            Command("compare", compare),
            Command("card", card),
            Command("export", export),
            Command("calibrate", calibrate),
            Command("benchmark", benchmark),
        )
        super().__init__(**{**arguments, "commands": {str(command.name): command for command in commands}})


app = typer.Typer(
    cls=_Commands,
    name="agegender",
    help="Age and gender from faces, in pictures and live video.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"agegender {version('agegender-cli')}")
        raise typer.Exit


@app.callback()
def agegender(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Age and gender from faces, in pictures and live video."""


def _fail(text: str, hints: Sequence[str], code: int) -> NoReturn:
    message(f"agegender: {text}")
    for hint in hints:
        message(f"  hint: {hint}")
    sys.exit(code)


def main() -> None:
    """Run the command line; a traceback is shown only with AGEGENDER_DEBUG=1."""
    use_utf8()
    try:
        app()
    except KeyboardInterrupt:
        _fail("stopped", (), 130)
    except Exception as error:
        if os.environ.get("AGEGENDER_DEBUG") == "1":
            raise
        if isinstance(error, OSError) and error.filename is not None:
            is_in_the_way = isinstance(error, FileExistsError) and os.path.isfile(error.filename)
            reason = "there is a file of that name already" if is_in_the_way else error.strerror
            _fail(f"{error.filename}: {reason}", hints(error), 2)
        if isinstance(error, UserError | ValueError | OSError):
            _fail(str(error), hints(error), 2)
        _fail(
            f"internal error: {type(error).__name__}: {error}",
            ["AGEGENDER_DEBUG=1 shows where; please report it"],
            1,
        )
