"""``agegender benchmark``: how fast it is on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from .benchmark_tables import growth_table, model_rows, model_table, peer_rows, peer_table, stage_table
from .errors import UserError, require_train
from .options import RUNTIME_HELP, Device, DeviceName, Format, FormatOption, RuntimeName
from .output import message, print_figures
from .plots import check_plot


class What(StrEnum):
    """What is measured."""

    STAGES = "stages"
    MODELS = "models"
    GROWTH = "growth"
    PEERS = "peers"


_SECONDS = {What.STAGES: 0.75, What.MODELS: 0.5, What.GROWTH: 0.2, What.PEERS: 0.5}


def benchmark(
    what: Annotated[
        What,
        typer.Argument(
            metavar="WHAT",
            help="stages: each step for one picture; models: networks by batch and threads, beside their accuracy; "
            "growth: faces in a frame, pixels and tracks; peers: other libraries that are installed.",
        ),
    ] = What.STAGES,
    format_: FormatOption = Format.TABLE,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="For stages: a picture with a face.", show_default="the built-in sample"),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MODEL",
            help="accurate, fast or tiny, which come with the package, or a model file; for models several times.",
            show_default="accurate for stages, all three for models, fast for growth",
        ),
    ] = None,
    device: Device = DeviceName.AUTO,
    runtime: Annotated[
        list[RuntimeName] | None,
        typer.Option(
            metavar="auto|onnxruntime|openvino", help=f"{RUNTIME_HELP} For models several times.", show_default="auto"
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Time spent on each measurement.",
            show_default=", ".join(f"{seconds:g} for {what}" for what, seconds in _SECONDS.items()),
        ),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Threads of a model; for models several times.",
            show_default="1, for models 1, 2, 4 and so on up to the cores",
        ),
    ] = None,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N", min=1, help="For models: faces in a batch; several times.", show_default="1, 4 and 32"
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="REPORT",
            help="For models: take their accuracy from this report of agegender eval: its folder, or its metrics.json.",
            show_default="what the model files say",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For models and growth: draw a plot, too: a .png or .svg.", show_default="none"
        ),
    ] = None,
) -> None:
    """Time each stage on one picture, networks, growth, or other libraries beside it: medians with their spread.

    \b
    Examples:
      agegender benchmark
      agegender benchmark --picture crowd.jpg --format json
      agegender benchmark models --threads 1 --batch-size 1 --plot speed.png
      agegender benchmark models --runtime onnxruntime --runtime openvino --batch-size 1
      agegender benchmark growth --plot growth.svg
      agegender benchmark peers
      AGEGENDER_SIMD=baseline agegender benchmark      the detector without AVX2
    """
    _check(
        what,
        picture=picture,
        model=model,
        device=device is not DeviceName.AUTO,
        runtime=runtime,
        threads=threads,
        batch_size=batch_size,
        report=report,
        plot=plot,
    )
    if plot is not None:
        check_plot(plot)
    from agegender_core import benchmark as core

    runtimes = runtime or [RuntimeName.AUTO]
    time = _SECONDS[what] if seconds is None else seconds
    first = model[0] if model else None
    draw: Callable[[dict[str, Any], str], bytes] | None = None
    if what is What.STAGES:
        source = core.SAMPLE if picture is None else picture
        document = core.measure_stages(
            source, first, seconds=time, threads=_one(threads), device=device, runtime=runtimes[0]
        )
        rows, table = document["stages"], stage_table
    elif what is What.MODELS:
        message("agegender: this takes a few seconds a model ...")
        chosen: dict[str, Any] = {"models": model} if model else {}
        chosen |= {"batch_sizes": batch_size} if batch_size else {}
        document = core.measure_models(
            **chosen, threads=threads, seconds=time, device=device, runtime=runtimes, report=report
        )
        rows, table, draw = model_rows(document), model_table, core.plot_models
    elif what is What.GROWTH:
        message("agegender: this takes about a minute ...")
        document = core.measure_growth(first, seconds=time, threads=_one(threads))
        rows, table, draw = document["rows"], growth_table, core.plot_growth
    else:
        message("agegender: this takes about half a minute ...")
        document = core.compare_with_peers([*core.known_peers(), *_keras()], seconds=time)
        rows, table = peer_rows(document), peer_table

    def print_all() -> None:
        typer.echo(core.hardware_line(document["machine"]))
        table(document)

    print_figures(format_, document=document, rows=rows, table=print_all)
    if plot is not None and draw is not None:
        from agegender_core.files import write_bytes

        write_bytes(plot, draw(document, plot.suffix.lower()))
        message(f"agegender: {plot} is written")


_FOR = {
    "picture": (What.STAGES,),
    "model": (What.STAGES, What.MODELS, What.GROWTH),
    "device": (What.STAGES, What.MODELS),
    "runtime": (What.STAGES, What.MODELS),
    "threads": (What.STAGES, What.MODELS, What.GROWTH),
    "batch_size": (What.MODELS,),
    "report": (What.MODELS,),
    "plot": (What.MODELS, What.GROWTH),
}


def _check(what: What, **options: Any) -> None:
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value and what not in _FOR[name]:
            *others, last = _FOR[name]
            kinds = f"{', '.join(others)} and {last}" if others else last
            raise UserError(f"{option} is for agegender benchmark {kinds}, not for {what}")
        if name in ("model", "threads", "runtime") and value and len(value) > 1 and what is not What.MODELS:
            raise UserError(
                f"{option} was given {len(value)} times, but agegender benchmark {what} takes only one",
                hint="agegender benchmark models compares several.",
            )


def _one(threads: Sequence[int] | None) -> int:
    return threads[0] if threads else 1


def _keras() -> list[Any]:
    """The comparisons with Keras, if the training package is installed."""
    if find_spec("agegender_train") is None:
        return []
    require_train()
    from .keras_peer import keras_comparisons

    return keras_comparisons()
