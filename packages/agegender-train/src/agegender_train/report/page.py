"""The page of a report: one HTML file with figures, plots and faces that loads nothing else, readable on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from agegender_train.evaluation import Evaluation
from agegender_train.metrics import age_error
from agegender_train.pages.html import Html, document, escape, figure, sheet_html, table
from agegender_train.pages.sheets import Cell, Sheet, label_text, thumbnail
from agegender_train.report.plots import file_name
from agegender_train.report.words import (
    OF_EXACT,
    OF_GROUPS,
    SHOWN,
    UNTRAINED,
    gain_sentence,
    gap_sentence,
    missed_shares,
    used,
)
from agegender_train.store.labels import Labels

Result = Mapping[str, Any]

_HEADLINES = (
    "age_mae", "age_bias", "cs5", "group_exact", "group_one_off", "gender_accuracy", "gender_ece", "coverage90",
    "ms_per_face",
)  # fmt: skip
_SUMMARY = {"age_mae": " years", "group_exact": " %", "gender_accuracy": " %"}
"""Figures of the summary, with their units."""

_FEW_PAIRS = 3
"""Pairs of models that the summary compares; of more, the section below tells."""

_COMPARED = ("age_mae", "group_exact", "gender_accuracy")
_KINDS = {
    "band": "age",
    "predicted band": "predicted age",
    "group": "ancestry, in the dataset's words",
    "gender": "gender",
    "gender and band": "gender and age",
    "box": "origin of the box",
    "size": "shorter side of the box in pixels",
    "sharpness": "sharpness",
    "turn": "turn of the head, 0 to 1",
    "score": "detector score",
}
_OF_PARTS = ("age_mae", "age_bias", "middle_mae", "group_exact", "gender_accuracy", "coverage90")

FACES_SHOWN = 50
"""Faces of a contact sheet."""

_SIDE, _SIDE_OF_MANY, _MANY = 64, 48, 12


class Published(NamedTuple):
    """One row of a published table that a report shows beside its own figures.

    Attributes:
        model: the network.
        test_set: the dataset as a report calls it.
        age_mae: years.
        gender_accuracy: share.
    """

    model: str
    test_set: str
    age_mae: float
    gender_accuracy: float


AGENDERNET = (
    Published("InceptionV3 (Agendernet, 2018)", "utkface", 7.36, 0.9018),
    Published("SSR-Net (Agendernet, 2018)", "utkface", 9.58, 0.8508),
    Published("InsightFace (Agendernet, 2018)", "utkface", 7.57, 0.8871),
)
"""Agendernet's own table (2018): on UTKFace, after training on IMDB-WIKI and Adience. Its faces are another part of the
set and were detected and cut in another way, so its figures are not of the same faces as a report's."""


def make_page(report: Mapping[str, Any], plots: Mapping[str, bytes], sheets: Sequence[tuple[str, Sheet]]) -> bytes:
    """The page as HTML.

    Args:
        report: the content of metrics.json.
        plots: PNG by file name; see `plots.plot_all`.
        sheets: contact sheets with their titles; see `face_sheets`.
    """
    results: list[dict[str, Any]] = list(report["results"])
    models, sets = ([*dict.fromkeys(str(row[key]) for row in results)] for key in ("model", "test_set"))
    sections = [
        ("figures", "Figures", "".join(_figures(name, results) for name in sets)),
        ("compared", "Which model is better", "".join(_compared(one) for one in report["comparisons"])),
        ("plots", "Plots", _overview(results, plots)),
        *((f"set-{file_name(name)}", escape(name), _of_set(name, results, plots)) for name in sets),
        ("parts", "Results by group of faces", "".join(_parts(row) for row in results)),
        ("faces", "Faces", "".join(f"<h3>{escape(title)}</h3>{sheet_html(sheet)}" for title, sheet in sheets)),
        ("how", "How this report was made", _how(report)),
    ]
    words = f"<p>{escape(', '.join(models), 1000)}. {len(sets)} {_plural('test set', sets)}.</p>{_summary(report)}"
    title = (
        f"{' and '.join(models)} on {', '.join(sets)}"
        if len(models) < 3
        else f"{len(models)} models on {', '.join(sets)}"
    )
    return document(title, words, sections)


def _summary(report: Mapping[str, Any]) -> str:
    """How good each model is on each test set, and which is better: a sentence each."""
    lines = []
    for row in report["results"]:
        parts = [
            f"{SHOWN[name].title.split(',')[0]} {SHOWN[name].with_interval(row, name)}{unit}"
            for name, unit in _SUMMARY.items()
            if row.get(name) is not None and not (name == "group_exact" and row.get("age_mae") is not None)
        ]
        parts += [UNTRAINED[head] for head in row.get("untrained", [])]
        lines.append(f"{row['model']} on {row['test_set']}, {row['n']:,} faces: {'; '.join(parts) or 'no figures'}.")
    for comparison in report["comparisons"]:
        pairs = comparison["pairs"] if len(comparison["pairs"]) <= _FEW_PAIRS else []
        sentences = (
            gain_sentence(pair["first"], pair["second"], name, pair["gains"][name])
            for name in _COMPARED
            for pair in pairs
            if name in pair["gains"]
        )
        lines += [f"On {comparison['test_set']}: {sentence}." for sentence in sentences]
    items = "".join(f"<li>{escape(line, 600)}</li>" for line in lines)
    return f'<ul class="summary">{items}</ul>'


def _plural(word: str, items: Sequence[object]) -> str:
    return word if len(items) == 1 else word + "s"


def _cell(figures: Result, name: str) -> object:
    """A figure with its interval below it."""
    shown, ends = SHOWN[name], figures.get("intervals", {}).get(name)
    value = escape(shown.value(figures.get(name)))
    if figures.get(name) is None or not ends:
        return Html(value)
    return Html(f"{value}<small>{escape(shown.value(ends[0]))} to {escape(shown.value(ends[1]))}</small>")


def _wide(html: str) -> str:
    hint = "<p class=swipe>Where the table is wider than the screen, it scrolls sideways.</p>"
    return hint + html.replace("<table>", '<table class="wide">', 1)


def _figures(test_set: str, results: Sequence[dict[str, Any]]) -> str:
    rows = [row for row in results if row["test_set"] == test_set]
    everything = used(rows)
    names = [name for name in _HEADLINES if name in everything]
    lines: list[list[object]] = [[row["model"], row["n"], *(_cell(row, name) for name in names)] for row in rows]
    for known in AGENDERNET:
        if known.test_set == test_set:
            published = {"age_mae": known.age_mae, "gender_accuracy": known.gender_accuracy}
            lines.append([known.model, None, *(SHOWN[name].value(published.get(name)) for name in names)])
    return (
        f"<h3>{escape(test_set)}</h3>"
        + _wide(table(["model", "faces", *(SHOWN[name].title for name in names)], lines))
        + f"<details><summary>All figures</summary>{_turned(rows, everything)}</details>"
        + "".join(f"<p class=dim>{text}</p>" for text in _notes(rows, any(k.test_set == test_set for k in AGENDERNET)))
    )


def _turned(rows: Sequence[Result], names: Sequence[str]) -> str:
    """A table of many figures, one on each line, which is easier to read on a phone."""
    return table(
        ["figure", *(row["model"] for row in rows)],
        ([SHOWN[name].title, *(_cell(row, name) for row in rows)] for name in names),
    )


def _notes(rows: Sequence[Result], published: bool) -> list[str]:
    notes = ["In small print: the 95 % interval, from a bootstrap over people."]
    first = rows[0]
    if first["part"]:
        notes.append(f"Of the store: {escape(first['part'])}.")
    if first["not_found"]:
        notes.append(
            f"In {first['not_found']:,} of {first['pictures']:,} pictures no face was found; the table leaves them out."
        )
    for row in rows:
        if row["failures"]:
            notes.append(
                f"{escape(row['model'])} gave no answer for {len(row['failures']):,} faces; the table leaves them out."
            )
        missed = row["with_not_found"]
        if missed["n"] > row["n"]:
            shares = missed_shares(missed)
            notes.append(f"Counting these as wrong, {escape(row['model'])} has: {shares} (of {missed['n']:,}).")
        for head in row.get("untrained", []):
            notes.append(escape(f"{row['model']} {UNTRAINED[head]}."))
        if row["realigned"]:
            notes.append(f"For {escape(row['model'])} the chips were cut again to another size or margin.")
    if published:
        notes.append(
            "Rows of 2018 are from Agendernet's own table, for reference: other faces of the set, cut in another way."
        )
    return notes


def _compared(comparison: Mapping[str, Any]) -> str:
    names = [name for name in _COMPARED if name in comparison["ranks"]]
    sentences = [
        escape(gain_sentence(pair["first"], pair["second"], name, pair["gains"][name]), 400)
        for name in names
        for pair in comparison["pairs"]
        if name in pair["gains"]
    ]
    ranks: dict[str, dict[str, int]] = {}
    for name in names:
        for one in comparison["ranks"][name]:
            ranks.setdefault(one["model"], {})[name] = one["rank"]
    rows = [[model, *(places.get(name) for name in names)] for model, places in ranks.items()]
    return (
        f"<h3>{escape(comparison['test_set'])}, {comparison['n']:,} faces that all models predicted</h3>"
        + table(["rank by", *(SHOWN[name].title.split(",")[0] for name in names)], rows)
        + "<p class=dim>Models share a rank where the 95 % interval of their difference contains zero.</p>"
        + f"<ul>{''.join(f'<li>{text}.</li>' for text in sentences)}</ul>"
    )


def _overview(results: Sequence[dict[str, Any]], plots: Mapping[str, bytes]) -> str:
    def numbers(*names: str) -> str:
        rows = [[row["model"], row["test_set"], *(_cell(row, name) for name in names)] for row in results]
        return table(["model", "test set", *(SHOWN[name].title for name in names)], rows, texts=(0, 1))

    shown = [
        ("age-error.png", "Error of the age", numbers("age_mae", "middle_mae")),
        ("gender.png", "Gender", numbers("gender_accuracy", "gender_balanced")),
        ("speed.png", "Time against error", numbers("ms_per_face", "age_mae")),
    ]
    made = "".join(figure(title, plots[name], text, name) for name, title, text in shown if name in plots)
    return f'<div class="plots">{made}</div>'


def _of_set(test_set: str, results: Sequence[dict[str, Any]], plots: Mapping[str, bytes]) -> str:
    rows = [row for row in results if row["test_set"] == test_set]
    stem = file_name(test_set)
    shown = [
        (f"{stem}-error-by-age.png", "Error by age", _part_table(rows, "band", ("age_bias", "middle_bias"))),
        (f"{stem}-ages.png", "True and predicted ages", ""),
        (f"{stem}-calibration.png", "Calibration of the gender", _ece_table(rows)),
        (f"{stem}-hard.png", "What makes a face hard", ""),
    ]
    shown += [
        (f"{stem}-{file_name(row['model'])}-confusion.png", f"{row['model']}: confusion of ages and genders", "")
        for row in rows
    ]
    made = "".join(figure(title, plots[name], text, name) for name, title, text in shown if name in plots)
    return f'<div class="plots">{made}</div>'


def _part_table(rows: Sequence[dict[str, Any]], kind: str, names: Sequence[str]) -> str:
    name = next((name for name in names if any(row.get(name) is not None for row in rows)), names[0])
    parts = [*dict.fromkeys(part for row in rows for part in row["parts"].get(kind, {}))]

    def cell(row: dict[str, Any], part: str) -> str:
        value = row["parts"].get(kind, {}).get(part, {}).get(name)
        return "–" if value is None else f"{value:+.2f}"

    return table(
        ["age", *(row["model"] for row in rows)], ([part, *(cell(row, part) for row in rows)] for part in parts)
    )


def _ece_table(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ["model", SHOWN["gender_ece"].title],
        ([row["model"], SHOWN["gender_ece"].with_interval(row, "gender_ece")] for row in rows),
    )


def _parts(row: dict[str, Any]) -> str:
    found = [f"<h3>{escape(row['model'])} on {escape(row['test_set'])}</h3>"]
    for kind, gaps in row["gaps"].items():
        if kind in ("group", "gender", "box"):
            texts = (gap_sentence(name, gap, f" by {_KINDS[kind]}") for name, gap in gaps.items())
            found += [f"<p>{escape(text, 400)}.</p>" for text in texts]
    for kind, parts in row["parts"].items():
        of = [{**part, "ms_per_face": None} for part in parts.values()]
        names = [name for name in _OF_PARTS if any(part.get(name) is not None for part in of)]
        if "age_mae" in names:
            names = [name for name in names if name not in OF_GROUPS]
        else:
            names = [name for name in names if name not in OF_EXACT]
        rows = [[name, part["n"], *(_cell(part, one) for one in names)] for name, part in parts.items()]
        titles = [_KINDS[kind], "faces", *(SHOWN[one].title for one in names)]
        found.append(f"<details><summary>By {_KINDS[kind]}</summary>{_wide(table(titles, rows))}</details>")
    return "".join(found)


def _how(report: Mapping[str, Any]) -> str:
    machine, versions = report["machine"], report["versions"]
    rows: list[list[object]] = [["command", report["command"] or None]]
    rows += [["machine", f"{machine['system']}, {machine['cpus']} CPUs"]]
    rows += [[name, version] for name, version in versions.items()]
    for row in report["results"]:
        if row["licence"]:
            rows.append([f"licence of {row['model']}", row["licence"]])
    for name, print_ in {row["test_set"]: row["fingerprint"] for row in report["results"]}.items():
        rows.append([f"fingerprint of {name}", print_])
    return table(["", ""], ([name, "–" if value is None else str(value)] for name, value in rows), texts=(0, 1))


def face_sheets(evaluations: Sequence[Evaluation]) -> list[tuple[str, Sheet]]:
    """Contact sheets with titles: the 50 worst faces of each evaluation, a random sample of 50 of each test set.

    The sample is drawn with a fixed seed and shown in the order in which it was drawn.

    Captions give the label and the prediction: "34 f → 29 m"; "?" for what isn't known.
    """
    side = _SIDE if len(evaluations) <= _MANY else _SIDE_OF_MANY
    sheets: list[tuple[str, Sheet]] = []
    seen: set[str] = set()
    for evaluation in evaluations:
        where = f"{evaluation.model} on {evaluation.test_set}"
        worst: list[int] = []
        if evaluation.age is not None:
            error = np.nan_to_num(age_error(evaluation.labels, evaluation.age))
            worst = [int(row) for row in np.argsort(-error, kind="stable")[:FACES_SHOWN] if error[row] > 0]
        if worst:
            sheets.append((f"Largest age errors of {where}", _sheet(evaluation, worst, side)))
        if evaluation.test_set not in seen:
            seen.add(evaluation.test_set)
            faces = len(evaluation.labels)
            drawn = np.random.default_rng(0).choice(faces, min(FACES_SHOWN, faces), replace=False).tolist()
            sheets.append((f"Random sample, predictions of {where}", _sheet(evaluation, drawn, side)))
    return sheets


def _sheet(evaluation: Evaluation, places: Iterable[int], side: int) -> Sheet:
    places = [int(place) for place in places]
    chips = evaluation.store.decode(evaluation.rows[places])
    labels = evaluation.labels
    cells = [
        Cell((thumbnail(str(labels.key[place]), chip, side),), _caption(evaluation, labels, place), True)
        for place, chip in zip(places, chips, strict=True)
    ]
    return Sheet("", cells, len(labels), len(labels))


def _caption(evaluation: Evaluation, labels: Labels, place: int) -> str:
    age = "?" if evaluation.age is None else f"{evaluation.age[place]:.0f}"
    gender = "?" if evaluation.p_male is None else "m" if evaluation.p_male[place] >= 0.5 else "f"
    return f"{label_text(labels, place)} → {age} {gender}"
