"""Plots of the benchmarks: pictures that can be read, of what was measured."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from agegender_core import decode_image
from agegender_core.benchmark import growth, plot_growth, plot_models


def models(**figures: Any) -> dict[str, Any]:
    about = {"model": "tiny", "figures": {"test_set": "utkface", "n": 9, **figures} if figures else None}
    rows = [
        {"model": "tiny", "batch": batch, "threads": threads, "ms_per_face": 3.0 / threads}
        for batch in (1, 32)
        for threads in (1, 2)
    ]
    return {"models": [about], "rows": rows}


def grown() -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"axis": axis, "stage": "align", "n": n, "label": str(n), "median_ms": n, "p10_ms": n / 2, "p90_ms": n * 2}
        for axis in ("faces", "tracks")
        for n in (1, 10, 100)
    ]
    rows.append({"axis": "tracks", "stage": "align", "n": 1000, "label": "1,000", "median_ms": None})
    return {"rows": rows, "slopes": growth.slopes_of(rows)}


def texts(svg: bytes) -> str:
    """Matplotlib draws letters as paths, and says in comments what they are."""
    ElementTree.fromstring(svg)
    return svg.decode()


def test_a_scatter_of_latency_against_the_error() -> None:
    picture = decode_image(plot_models(models(age_mae=6.4), ".png"))
    assert picture.min() < 50
    svg = texts(plot_models(models(age_mae=6.4, interval_mae=6.4), ".svg"))
    for text in ("age MAE (years), utkface", "tiny", "32 at a time", "2 threads"):
        assert f"<!-- {text} -->" in svg
    assert "<!-- error to the age group (years), utkface -->" in texts(plot_models(models(interval_mae=2.5), ".svg"))
    assert plot_models(models(age_mae=6.4), ".svg") == plot_models(models(age_mae=6.4), ".svg")


def test_without_an_error_there_is_nothing_to_plot() -> None:
    for report in (models(), models(gender_accuracy=0.9)):
        with pytest.raises(ValueError, match="the age error of none of these models is known"):
            plot_models(report, ".png")


def test_growth_has_a_panel_for_each_axis() -> None:
    svg = texts(plot_growth(grown(), ".svg"))
    assert svg.count("<!-- align, slope 1.00 -->") == 2
    assert "<!-- faces in a frame -->" in svg
    assert "<!-- 1,000 -->" not in svg
    height, width = decode_image(plot_growth(grown(), ".png")).shape[:2]
    assert height > width
