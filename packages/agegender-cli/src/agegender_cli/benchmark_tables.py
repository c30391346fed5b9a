"""The tables of ``agegender benchmark``."""

from __future__ import annotations

from typing import Any

import typer

from .tables import cell, print_table


def stage_table(report: dict[str, Any]) -> None:
    """What `measure_stages` gave."""
    typer.echo(
        f"{report['picture']}: {report['width']} x {report['height']} pixels, {report['faces']} face(s); "
        f"model {report['model']} by {report['device']}, {report['threads']} thread(s)"
    )
    rows = [[stage["name"], *_times(stage)] for stage in report["stages"]]
    print_table(["stage", *_TIMES], rows)


_TIMES = ("median ms", "10-90 %", "fastest", "CPU ms", "a second", "runs")


def _times(row: dict[str, Any]) -> list[str]:
    return [
        _ms(row["median_ms"]),
        f"{_ms(row['p10_ms'])}-{_ms(row['p90_ms'])}",
        _ms(row["min_ms"]),
        _ms(row["cpu_ms"]),
        f"{row['per_second']:,.0f}",
        f"{row['runs']:,}",
    ]


def _ms(milliseconds: float | None) -> str:
    """Milliseconds with as many decimals as their size calls for."""
    if milliseconds is None:
        return "too long"
    return f"{milliseconds:.4f}" if milliseconds < 0.1 else f"{milliseconds:.{2 if milliseconds < 100 else 0}f}"


def model_table(report: dict[str, Any]) -> None:
    """What `measure_models` gave, and where the accuracy figures come from."""
    rows = model_rows(report)
    several = len({row["device"] for row in rows}) > 1
    known = {name: column for name, column in _ACCURACY.items() if any(row[name] is not None for row in rows)}
    lines = [
        [
            row["model"],
            *([row["device"]] if several else []),
            str(row["batch"]),
            str(row["threads"]),
            _ms(row["ms_per_face"]),
            f"{_ms(row['p10_ms'] / row['batch'])}-{_ms(row['p90_ms'] / row['batch'])}",
            f"{row['per_second']:,.0f}",
            row["precision"],
            str(row["looks"]),
            _ms(row["load_ms"]),
            *(cell(row[name], text) for name, (_, text) in known.items()),
        ]
        for row in rows
    ]
    where = ["model", *(["by"] if several else []), "faces", "threads"]
    titles = [*where, "ms a face", "10-90 %", "faces a second", "weights", "looks", "ms to load"]
    print_table([*titles, *(title for title, _ in known.values())], lines, left=["by"])
    for said in dict.fromkeys(_source(model) for model in report["models"]):
        typer.echo(said)


_ACCURACY = {
    "age_mae": ("age MAE", "{:.2f}"),
    "interval_mae": ("to group", "{:.2f}"),
    "gender_accuracy": ("gender", "{:.1%}"),
}


def model_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of `measure_models`, each with its model's precision, looks and accuracy."""
    about = {one["model"]: one for one in report["models"]}
    rows = []
    for row in report["rows"]:
        model = about[row["model"]]
        figures = {name: (model["figures"] or {}).get(name) for name in _ACCURACY}
        if figures["age_mae"] is not None:
            figures["interval_mae"] = None  # the same number where ages are known
        rows.append({**row, "precision": model["precision"], "looks": model["looks"], **figures})
    return rows


def _source(model: dict[str, Any]) -> str:
    """Where a model's figures come from."""
    figures = model["figures"]
    if figures is None:
        return f"{model['model']}: neither the model file nor a report says how accurate it is."
    where = "the report's" if figures["source"] == "report" else "the model file's"
    return f"Accuracy of {model['model']}: {where}, {figures['test_set']}, {figures['n']:,} faces."


_AXES = {"faces": "faces in a frame", "pixels": "size of a frame", "tracks": "tracks"}


def growth_table(report: dict[str, Any]) -> None:
    """What `measure_growth` gave: a table for each axis."""
    typer.echo(f"Median milliseconds; model {report['model']}, {report['threads']} thread(s)")
    for axis in dict.fromkeys(row["axis"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["axis"] == axis]
        sizes = list(dict.fromkeys(row["label"] for row in rows))
        times = {(row["stage"], row["label"]): row["median_ms"] for row in rows}
        slopes = [one for one in report["slopes"] if one["axis"] == axis]
        lines = [
            [
                one["stage"],
                *(_ms(times[one["stage"], size]) for size in sizes),
                cell(one["slope"], "{:.2f}"),
                cell(one["slope_of_large"], "{:.2f}"),
                one["words"],
            ]
            for one in slopes
        ]
        typer.echo("")
        print_table([_AXES[axis], *sizes, "slope", "of large", "grows"], lines, left=["grows"])


def peer_table(report: dict[str, Any]) -> None:
    """What `compare_with_peers` gave, then which libraries are left out, and why."""
    rows = []
    for row in report["rows"]:
        if row["status"] == "compared":
            ratio = row["ratio"]
            said = (
                "none: outputs differ"
                if ratio is None
                else f"{ratio['median']:.2f} ({ratio['p10']:.2f}-{ratio['p90']:.2f})"
            )
            version = f"{row['peer']} {row['version'] or ''}".rstrip()
            times = [_ms(row[side]["median_ms"]) for side in ("ours", "theirs")]
            rows.append([row["what"], times[0], version, times[1], said, row["output"]])
    titles = ["what", "ours, ms", "beside", "theirs, ms", "theirs / ours", "outputs"]
    print_table(titles, rows, left=["beside", "outputs"])
    absent = [(row["peer"], row["reason"]) for row in report["rows"] if row["status"] != "compared"]
    for peer, reason in dict.fromkeys(absent):
        typer.echo(f"{peer} is left out: {reason}")


def peer_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of `compare_with_peers` as numbers for CSV."""
    return [_flat(row) for row in report["rows"]]


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in row.items() if not isinstance(value, dict)}
    for side in ("ours", "theirs"):
        flat[f"{side}_median_ms"] = row[side]["median_ms"] if row[side] else None
    return flat | {"ratio": row["ratio"]["median"] if row["ratio"] else None}
