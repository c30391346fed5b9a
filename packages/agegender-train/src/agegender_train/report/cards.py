"""Model cards: Markdown filled in from a report, so that no figure is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agegender_core.spelling import with_near_names
from agegender_train.metrics import GAPS
from agegender_train.report.folder import Report
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

_PLACE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_PARTS = ("age_mae", "age_bias", "middle_mae", "group_exact", "gender_accuracy", "coverage90")
_OF_PREDICTED = ("age_mae", "age_bias", "middle_mae", "coverage90")
_KINDS = {
    "band": "age",
    "predicted band": "predicted age",
    "group": "ancestry, in the dataset's words",
    "gender": "gender",
}
_KINDS_OF_LABELS = {"band": "age", "group": "ancestry", "gender": "gender"}
_WORSE = "worse than "
_LEAST_COMPARED = 100
_HEADLINES = (
    "age_mae",
    "age_median",
    "age_bias",
    "cs5",
    "group_exact",
    "group_one_off",
    "gender_accuracy",
    "gender_ece",
)

TEMPLATE = """# Model card: {{model}}

{{facts}}

## Figures

{{figures}}

## Limits

It predicts how a face looks to the people who labelled the pictures, not who somebody is. It knows two genders only,
as its data does. Faces that the detector misses appear only as the count above. Don't use it to decide about people.
"""
"""The default template of a card."""


def make_card(report: Report, model: str, template: str = TEMPLATE) -> str:
    """The card of one model, as Markdown.

    Args:
        report: a report with that model.
        model: its name there.
        template: Markdown with placeholders: ``{{model}}``; ``{{facts}}``, from the description in the model file;
            ``{{figures}}``, the tables; ``{{SET.FIGURE}}`` and ``{{SET/KIND/PART.FIGURE}}``, one number, such as
            ``{{utkface.age_mae}}`` or ``{{utkface/band/60-69.age_bias}}``; ``{{SET.n}}``; ``{{worse than MODEL}}``,
            the parts of 100 faces or more for which it is worse than another model of the report by more than that
            one's 95 % interval.

    Raises:
        ValueError: the report has no such model, or a placeholder names something that isn't in it.
    """
    rows = _rows_of(report, model)

    def filled(match: re.Match[str]) -> str:
        place = match[1]
        if place == "model":
            return model
        if place == "facts":
            return _facts(rows)
        if place == "figures":
            return _figures(report, model, rows)
        if place.startswith(_WORSE):
            return _worse_than(report, rows, place.removeprefix(_WORSE))
        return _number(rows, place)

    return _PLACE.sub(filled, template)


def _rows_of(report: Report, model: str) -> list[dict[str, Any]]:
    rows = [row for row in report.results if row["model"] == model]
    if not rows:
        there = list(dict.fromkeys(row["model"] for row in report.results))
        unknown = ValueError(f"{report.path} has no model {model!r}; it has {', '.join(there)}")
        raise with_near_names(unknown, model, there)
    return rows


def _worse_than(report: Report, rows: Sequence[Mapping[str, Any]], other: str) -> str:
    others = {row["test_set"]: row for row in _rows_of(report, other)}
    compared, worse = 0, []
    for row in rows:
        for part, ours, theirs in _large_parts(row, others.get(row["test_set"])):
            for name in _judged(tuple(GAPS), [ours, theirs]):
                compared += 1
                low, high = theirs["intervals"][name]
                if ours[name] > high if GAPS[name] < 0 else ours[name] < low:
                    shown = SHOWN[name]
                    figures = f"{shown.value(ours[name])}, {shown.with_interval(theirs, name)} with {other}"
                    worse.append(f"{row['test_set']}, {part}: {shown.title} {figures}")
    found = "; ".join(worse) or "none"
    return f"{found} (of {compared} figures of parts with {_LEAST_COMPARED} faces or more)"


def _large_parts(row: Mapping[str, Any], other: Mapping[str, Any] | None) -> Iterator[tuple[str, Any, Any]]:
    """Each part by what its faces' labels say that is large enough to compare: its name, its figures, and the other
    model's.
    """
    for kind, title in _KINDS_OF_LABELS.items():
        theirs = other["parts"].get(kind, {}) if other else {}
        for name, part in row["parts"].get(kind, {}).items():
            if name in theirs and min(part["n"], theirs[name]["n"]) >= _LEAST_COMPARED:
                yield f"{title} {name}", part, theirs[name]


def _judged(names: Sequence[str], figures: list[dict[str, Any]]) -> list[str]:
    """Those of the names that there are figures for: of exact ages, or else of age groups."""
    there = used(figures)
    return [name for name in names if name in there and name not in (OF_GROUPS if "age_mae" in there else OF_EXACT)]


def _number(rows: Sequence[Mapping[str, Any]], place: str) -> str:
    where, _, name = place.rpartition(".")
    test_set, *part = where.split("/", 2)
    found: Any = next((row for row in rows if row["test_set"] == test_set), None)
    if found is not None and len(part) == 2:
        found = found["parts"].get(part[0], {}).get(part[1])
    if found is None or found.get(name) is None or (name != "n" and name not in SHOWN):
        raise ValueError(f"the template asks for {{{{{place}}}}}, which the report doesn't have")
    return f"{found[name]:,}" if name == "n" else SHOWN[name].value(found[name])


def _facts(rows: Sequence[Mapping[str, Any]]) -> str:
    row = rows[0]
    spec, training = row["preprocess"], row["training"] or {}
    lines = []
    if spec:
        lines.append(
            f"- Input: {spec['input_size']} x {spec['input_size']} pixels, {spec['color'].upper()}, from chips of "
            f"{spec['chip_size']} pixels with a margin of {spec['chip_padding']:g}"
        )
    if training.get("data"):
        lines.append(f"- Training data: {', '.join(training['data'])}; {training['n']:,} of these faces")
    lines += [f"- It {UNTRAINED[head]}" for head in row.get("untrained", [])]
    if row["licence"]:
        lines.append(f"- Licence of the weights: {row['licence']}")
    return "\n".join(lines) or "- The model file has no description of its origin."


def _figures(report: Report, model: str, rows: Sequence[dict[str, Any]]) -> str:
    names = [name for name in _HEADLINES if any(row.get(name) is not None for row in rows)]
    parts = [
        "In brackets: the 95 % interval, from a bootstrap over people. "
        f"{report.about['machine']['system']}, {report.about['machine']['cpus']} CPUs; made with",
        f"```console\n$ {report.about['command']}\n```",
        _table(
            ["test set", "faces", *(SHOWN[name].title for name in names)],
            [
                [row["test_set"], f"{row['n']:,}", *(SHOWN[name].with_interval(row, name) for name in names)]
                for row in rows
            ],
        ),
    ]
    parts += [text for row in rows for text in _missed(row)]
    parts += [text for row in rows for kind in _KINDS for text in _of_parts(row, kind)]
    beside = [f"- {sentence}" for comparison in report.comparisons for sentence in _beside(comparison, model)]
    if beside:
        parts += ["Compared with other models, on the same faces:", "\n".join(beside)]
    return "\n\n".join(parts)


def _missed(row: Mapping[str, Any]) -> list[str]:
    missed = row["with_not_found"]
    if missed["n"] == row["n"]:
        return []
    return [
        f"In {missed['n'] - row['n']:,} pictures of {row['test_set']} no face was found; the table leaves them out. "
        f"Counting them as wrong: {missed_shares(missed)}."
    ]


def _of_parts(row: dict[str, Any], kind: str) -> list[str]:
    parts = row["parts"].get(kind, {})
    if len(parts) < 2:
        return []
    names = _judged(_OF_PREDICTED if kind == "predicted band" else _PARTS, list(parts.values()))
    lines = [
        [name, f"{part['n']:,}", *(SHOWN[one].with_interval(part, one) for one in names)]
        for name, part in parts.items()
    ]
    texts = [
        f"{row['test_set']} by {_KINDS[kind]}:",
        _table([_KINDS[kind].split(",")[0], "faces", *(SHOWN[name].title for name in names)], lines),
    ]
    if kind == "group":
        texts += [f"{gap_sentence(name, gap)}." for name, gap in row["gaps"].get(kind, {}).items()]
    return texts


def _beside(comparison: Mapping[str, Any], model: str) -> list[str]:
    return [
        f"{comparison['test_set']}: {gain_sentence(pair['first'], pair['second'], name, pair['gains'][name])}"
        for name in ("age_mae", "group_exact", "gender_accuracy")
        for pair in comparison["pairs"]
        if model in (pair["first"], pair["second"]) and name in pair["gains"]
    ]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return "\n".join([line(titles), line(["---"] * len(titles)), *map(line, rows)])
