"""``agegender benchmark``: how long each stage takes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Device, DeviceName, Format, FormatOption, Model, Threads
from .output import print_figures
from .tables import print_table


def benchmark(
    format_: FormatOption = Format.TABLE,
    picture: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A picture with a face.", show_default="the built-in sample")
    ] = None,
    model: Model = None,
    device: Device = DeviceName.AUTO,
    seconds: Annotated[float, typer.Option(min=0.05, help="Time spent on each stage.")] = 1.0,
    threads: Threads = 1,
) -> None:
    """Time each stage on one picture: the median of as many runs as fit into the time.

    \b
    Examples:
      agegender benchmark
      agegender benchmark --picture crowd.jpg --format json
      AGEGENDER_SIMD=baseline agegender benchmark      the detector without AVX2
    """
    from agegender_core.benchmark import SAMPLE, measure_stages

    report = measure_stages(
        SAMPLE if picture is None else picture, model, seconds=seconds, threads=threads, device=device
    )
    print_figures(format_, document=report, rows=report["stages"], table=lambda: _print_table(report))


def _print_table(report: dict[str, Any]) -> None:
    typer.echo(
        f"{report['picture']}: {report['width']} x {report['height']} pixels, {report['faces']} face(s); "
        f"detector built for {report['simd']}, model {report['model']} by {report['device']}, "
        f"{report['threads']} thread(s), {report['cpus']} CPUs"
    )
    rows = [
        [stage["name"], f"{stage['median_ms']:.3f}", f"{stage['min_ms']:.3f}", str(stage["runs"])]
        for stage in report["stages"]
    ]
    print_table(["stage", "median ms", "fastest", "runs"], rows)
