"""Pieces of an HTML page. Everything that comes from a dataset goes through `escape`."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from importlib import resources

from agegender_core.plotting import shortened
from agegender_train.pages.sheets import Cell, Sheet, Thumbnail


def escape(text: object, longest: int = 200) -> str:
    """A text for HTML; control characters become visible, a long one loses its middle."""
    shown = "".join(letter if letter.isprintable() else "�" for letter in shortened(str(text), longest))
    return html.escape(shown, quote=True)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], texts: Sequence[int] = (0,)) -> str:
    """A table whose columns are numbers except those of `texts`."""

    def row(cells: Sequence[object], tag: str) -> str:
        parts = (
            f"<{tag}{' class=text' if number in texts else ''}>{_number(cell)}</{tag}>"
            for number, cell in enumerate(cells)
        )
        return f"<tr>{''.join(parts)}</tr>"

    body = "\n".join(row(cells, "td") for cells in rows)
    # To be scrolled by keyboard it must take the focus.
    scroll = '<div class="scroll" tabindex="0" role="region" aria-label="Table, may be scrolled sideways">'
    return f"{scroll}<table><thead>{row(titles, 'th')}</thead><tbody>\n{body}\n</tbody></table></div>"


class Html(str):
    """A cell that is HTML already."""

    __slots__ = ()


def _number(cell: object) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Html):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else escape(cell)


def figure(title: str, image: bytes, details: str, anchor: str) -> str:
    """A plot, with its numbers, if any, in a collapsed table below."""
    alt = escape(title) + ("; the numbers are in the table below" if details else "")
    numbers = f"<details><summary>Numbers</summary>{details}</details>" if details else ""
    return (
        f'<figure id="{anchor}"><h2>{escape(title)}</h2>\n<img src="{data_url(image)}" alt="{alt}">\n{numbers}</figure>'
    )


def data_url(image: bytes) -> str:
    """A PNG or JPEG as part of the page."""
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def sheet_html(sheet: Sheet) -> str:
    """The cells of a contact sheet."""
    if not sheet.has_pictures:
        return table(["entry", ""], ([cell.pictures[0].key, cell.caption] for cell in sheet.cells), texts=(0, 1))
    pairs = any(len(cell.pictures) > 1 for cell in sheet.cells)
    kind = "sheet pairs" if pairs else "sheet" if all(cell.is_labelled for cell in sheet.cells) else "sheet wide"
    return f'<div class="{kind}">\n' + "\n".join(_cell(cell) for cell in sheet.cells) + "\n</div>"


def _cell(cell: Cell) -> str:
    caption = escape(cell.caption)
    if cell.is_labelled:
        (picture,) = cell.pictures
        return f"<figure>{_picture(picture)}<figcaption>{caption}</figcaption></figure>"
    pictures = [_picture(picture) + _name(picture) for picture in cell.pictures]
    if len(pictures) == 1:
        return f"<figure>{pictures[0]}<figcaption>{caption}</figcaption></figure>"
    halves = "".join(f"<div>{part}</div>" for part in pictures)
    return f'<figure><div class="side">{halves}</div><figcaption>{caption}</figcaption></figure>'


def _name(picture: Thumbnail) -> str:
    return f'<figcaption title="{escape(picture.key, 1000)}"><b>{escape(picture.key, 80)}</b></figcaption>'


def _picture(picture: Thumbnail) -> str:
    if picture.missing:
        return f'<div class="none">{escape(picture.missing)}</div>'
    return f'<img src="{data_url(picture.jpeg)}" alt="{escape(picture.key, 80)}">'


def document(title: str, head: str, sections: Sequence[tuple[str, str, str]]) -> bytes:
    """A page in one file that needs no network.

    Args:
        title: of the page, not escaped.
        head: HTML below the title.
        sections: anchor, title and HTML of each; those without HTML are skipped.
    """
    sections = [section for section in sections if section[2]]
    links = "".join(f'<li><a href="#{anchor}">{title}</a></li>' for anchor, title, _ in sections)
    body = "\n".join(
        f'<section id="{anchor}">\n<h2>{title}</h2>\n{content}\n</section>' for anchor, title, content in sections
    )
    style = resources.files("agegender_train.pages").joinpath("style.css").read_text("utf-8")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
{head}
<nav><ul>{links}</ul></nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""
    return page.encode("utf-8", "replace")
