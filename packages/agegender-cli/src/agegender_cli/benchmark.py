"""``agegender benchmark``: how long each stage takes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import UserError
from .options import Format, Model


def benchmark(
    format_: Annotated[Format, typer.Option("--format", "-f", help="table or json.")] = Format.TABLE,
    picture: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A picture with a face.", show_default="the built-in sample")
    ] = None,
    model: Model = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Time spent on each stage.")] = 1.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the model.")] = 1,
) -> None:
    """Time each stage on one picture: the median of as many runs as fit into the time.

    \b
    Examples:
      agegender benchmark
      agegender benchmark --picture crowd.jpg --format json
      AGEGENDER_SIMD=baseline agegender benchmark      the detector without AVX2
    """
    from agegender_core.benchmark import SAMPLE, measure_stages

    if format_ not in (Format.TABLE, Format.JSON):
        raise UserError(f"benchmark writes table or json, not {format_.value}")
    report = measure_stages(SAMPLE if picture is None else picture, model, seconds=seconds, threads=threads)
    if format_ is Format.JSON:
        import json

        print(json.dumps(report, indent=2))
    else:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    print(
        f"{report['picture']}: {report['width']} x {report['height']} pixels, {report['faces']} face(s); "
        f"detector built for {report['simd']}, model {report['model']}, {report['threads']} thread(s), "
        f"{report['cpus']} CPUs"
    )
    print(f"{'stage':<28}{'median ms':>10}{'fastest':>10}{'runs':>7}")
    for stage in report["stages"]:
        print(f"{stage['name']:<28}{stage['median_ms']:>10.3f}{stage['min_ms']:>10.3f}{stage['runs']:>7}")
