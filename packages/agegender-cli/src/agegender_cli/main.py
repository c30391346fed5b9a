"""The command `agegender`: one file a command, and the one place that turns errors into sentences."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from .audit import audit
from .benchmark import benchmark
from .calibrate import calibrate
from .card import card
from .compare import compare
from .errors import UserError
from .eval import evaluate
from .export import export
from .predict import predict
from .preprocess import preprocess
from .review import review
from .runs import runs
from .split import split
from .stream import stream
from .train import train

app = typer.Typer(
    name="agegender",
    help="Age and gender from faces, in pictures and live video.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(predict)
app.command()(stream)
app.command()(preprocess)
app.command()(audit)
app.command()(review)
app.command()(split)
app.command()(train)
app.command()(runs)
app.command("eval")(evaluate)
app.command()(compare)
app.command()(card)
app.command()(export)
app.command()(calibrate)
app.command()(benchmark)


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


def _fail(message: str, hint: str | None, code: int) -> NoReturn:
    typer.echo(f"agegender: {message}", err=True)
    if hint:
        typer.echo(f"  hint: {hint}", err=True)
    sys.exit(code)


def main() -> None:
    """Run the command line; a traceback is shown only with AGEGENDER_DEBUG=1."""
    try:
        app()
    except KeyboardInterrupt:
        _fail("stopped", None, 130)
    except Exception as error:
        if os.environ.get("AGEGENDER_DEBUG") == "1":
            raise
        if isinstance(error, UserError):
            _fail(str(error), error.hint, 2)
        if isinstance(error, OSError) and error.filename is not None:
            _fail(f"{error.filename}: {error.strerror}", None, 2)
        if isinstance(error, ValueError | OSError):
            _fail(str(error), None, 2)
        _fail(
            f"a mistake of ours: {type(error).__name__}: {error}",
            "AGEGENDER_DEBUG=1 shows where; please report it",
            1,
        )
