"""The page of an audit: one HTML file with its pictures in it, which needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agegender_train.audit.overlaps import Overlaps
from agegender_train.audit.summary import Summary
from agegender_train.pages.html import document, escape, figure, sheet_html, table
from agegender_train.pages.sheets import Sheet
from agegender_train.store.labels import AGE_BANDS

_MOST_ROWS = 50
_TITLES = {
    "ages.png": "Ages",
    "gender.png": "Gender",
    "gender-by-age.png": "Gender by age",
    "groups.png": "Groups",
    "rejected.png": "Rejected entries, by reason",
    "boxes.png": "Where the boxes come from",
}


def make_page(
    summaries: Sequence[Summary],
    plots: Mapping[str, bytes],
    accepted: Sequence[Sheet],
    rejected: Sequence[Sequence[Sheet]],
    overlaps: Overlaps | None,
    copies: Sequence[Sheet],
) -> bytes:
    """The page as HTML.

    Args:
        summaries: the stores' figures.
        plots: see `plots.plot_all`.
        accepted: for each store some of its faces.
        rejected: for each store a sheet for each reason.
        overlaps: what the stores have in common.
        copies: pairs of copies.
    """
    names = ", ".join(summary.name for summary in summaries)
    sections = [
        ("counts", "Counts", _counts(summaries)),
        ("plots", "Distributions", _plots(summaries, plots)),
        ("overlaps", "Duplicates and overlaps", "" if overlaps is None else _overlaps(overlaps, copies)),
        ("accepted", "Accepted faces", _sheets([(s, [sheet]) for s, sheet in zip(summaries, accepted, strict=True)])),
        ("rejected", "Rejected entries", _sheets(list(zip(summaries, rejected, strict=True)), reasons=True)),
    ]
    head = "".join(f"<p>{_sentence(summary)}</p>" for summary in summaries)
    return document(f"Audit of {names}", head, sections)


def _sentence(summary: Summary) -> str:
    left = summary.pictures - len(summary)
    reviewed = {} if summary.store is None else summary.store.reviewed
    text = f"{summary.name}: {len(summary):,} faces"
    if summary.rejections:
        out = len(summary.rejections)
        text += f" of {summary.pictures:,} entries; {out:,} ({_share(out, summary.pictures)}) were rejected"
    elif left > 0:
        text += f" of {summary.pictures:,} entries"
    if any(reviewed.values()):
        text += f"; a review rejected {reviewed['rejected']:,} and corrected {reviewed['corrected']:,}"
    return escape(text) + "."


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _counts(summaries: Sequence[Summary]) -> str:
    figures = [summary.figures() for summary in summaries]
    rows: list[list[object]] = []
    for title, name in (
        ("entries of the dataset", "pictures"),
        ("faces kept", "faces"),
        ("of known age", "exact_ages"),
        ("of an age group", "age_groups"),
        ("people", "subjects"),
    ):
        rows.append([title, *(part[name] for part in figures)])
    means = (part["mean_age"] for part in figures)
    rows.append(["mean age (years)", *(None if mean is None else f"{mean:.1f}" for mean in means)])
    for title, name in (("", "genders"), ("split ", "splits"), ("box ", "box_from"), ("rejected: ", "rejected")):
        words = {word: 0 for part in figures for word in part[name]}
        for word in words:
            words[word] = sum(part[name].get(word, 0) for part in figures)
        shown = sorted(words, key=lambda word: -words[word])[:_MOST_ROWS] if name == "rejected" else list(words)
        rows += [[title + word, *(part[name].get(word, 0) for part in figures)] for word in shown]
        if len(shown) < len(words):
            rest = set(words) - set(shown)
            numbers = (sum(part[name].get(word, 0) for word in rest) for part in figures)
            rows.append([f"{title}{len(rest):,} other reasons", *numbers])
    return table(["", *(summary.name for summary in summaries)], rows)


def _plots(summaries: Sequence[Summary], plots: Mapping[str, bytes]) -> str:
    if not plots:
        return "<p>There are no faces, and nothing was rejected.</p>"
    details = {
        "ages.png": _bands(summaries),
        "gender.png": _by_word(summaries, "genders"),
        "gender-by-age.png": "".join(_gender_by_band(summary) for summary in summaries if len(summary)),
        "groups.png": _by_word(summaries, "groups"),
        "rejected.png": _by_word(summaries, "rejected"),
        "boxes.png": _by_word(summaries, "box_from"),
    }
    figures = (figure(_TITLES[name], image, details[name], f"plot-{name[:-4]}") for name, image in plots.items())
    return '<div class="plots">\n' + "\n".join(figures) + "\n</div>"


def _bands(summaries: Sequence[Summary]) -> str:
    tables = [summary.gender_by_band() for summary in summaries]
    rows = [[band, *(sum(found[band].values()) for found in tables)] for band in (*AGE_BANDS, "no age")]
    return table(["years", *(summary.name for summary in summaries)], rows)


def _gender_by_band(summary: Summary) -> str:
    rows = [[band, *found.values()] for band, found in summary.gender_by_band().items()]
    return f"<h3>{escape(summary.name)}</h3>" + table(["years", "female", "male", "unknown"], rows)


def _by_word(summaries: Sequence[Summary], name: str) -> str:
    found: list[dict[str, int]] = [getattr(summary, name) for summary in summaries]
    words = list(dict.fromkeys(word for counts in found for word in counts))
    rows = [[word, *(counts.get(word, 0) for counts in found)] for word in words[:_MOST_ROWS]]
    more = f"<p>{len(words) - _MOST_ROWS:,} more are not shown.</p>" if len(words) > _MOST_ROWS else ""
    return table(["", *(summary.name for summary in summaries)], rows) + more


def _sheets(parts: Sequence[tuple[Summary, Sequence[Sheet]]], reasons: bool = False) -> str:
    blocks = []
    for summary, sheets in parts:
        total = sum(sheet.total for sheet in sheets)
        if reasons and len(sheets) < len(summary.rejected):
            rest = len(summary.rejected) - len(sheets)
            blocks.append(f"<p>{rest:,} rarer reasons of {escape(summary.name)} are not shown: see audit.parquet.</p>")
        for sheet in sheets:
            if not sheet.cells:
                continue
            pairs = any(len(cell.pictures) > 1 for cell in sheet.cells)
            title = f"{sheet.title}: {sheet.total:,}" if reasons else f"{sheet.total:,} faces"
            if len(parts) > 1:
                title = f"{summary.name}, {title}"
            note = f"{len(sheet.cells):,} of {sheet.of:,}{' pairs' if pairs else ''}, a random sample, are shown."
            if len(sheet.cells) == sheet.of:
                note = "All are shown."
            blocks.append(f'<h3>{escape(title)}</h3>\n<p class="dim">{note}</p>\n{sheet_html(sheet)}')
        if reasons and not total:
            blocks.append(f"<p>Nothing of {escape(summary.name)} was rejected.</p>")
    return "\n".join(blocks)


def _overlaps(overlaps: Overlaps, copies: Sequence[Sheet]) -> str:
    verdict = "No duplicates or overlaps." if overlaps.is_clean else "There are duplicates or overlaps: see below."
    blocks = [f'<p class="{"good" if overlaps.is_clean else "warn"}">{verdict}</p>', "<h3>The same face twice</h3>"]
    rows = [list(pair.values()) for pair in overlaps.between()]
    blocks.append(table(["store", "other store", "equal files", "look alike", "labels conflict"], rows, texts=(0, 1)))
    blocks += [
        f"<h3>{escape(sheet.title)}: {sheet.total:,}</h3>\n{sheet_html(sheet)}" for sheet in copies if sheet.cells
    ]
    if overlaps.splits:
        blocks.append("<h3>On two sides of a split</h3>")
        titles = ["split", "of", "faces", "people", "pictures", "copies"]
        found = (
            [
                split.name,
                ", ".join(split.stores),
                len(split.sides),
                len(split.people),
                len(split.pictures),
                len(split.copies),
            ]
            for split in overlaps.splits
        )
        blocks.append(table(titles, found, texts=(0, 1)))
        for split in overlaps.splits:
            rows = [[subject, dataset, ", ".join(sides)] for (dataset, subject), sides in split.people.items()]
            if rows:
                shown = table(["subject", "dataset", "sides"], rows[:_MOST_ROWS], texts=(0, 1, 2))
                more = f"<p>and {len(rows) - _MOST_ROWS:,} more</p>" if len(rows) > _MOST_ROWS else ""
                blocks.append(
                    f"<details><summary>People on two sides of {escape(split.name)}</summary>{shown}{more}</details>"
                )
    blocks += [f'<p class="warn">{escape(note, 500)}</p>' for note in overlaps.notes]
    return "\n".join(blocks)
