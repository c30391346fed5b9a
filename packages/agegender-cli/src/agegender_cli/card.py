"""``agegender card``: a model card, made of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .errors import require_train
from .options import output
from .output import message
from .targets import refuse_folder, refuse_source


def card(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A folder that agegender eval wrote.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="The model, as the report calls it.")],
    output: Annotated[Path, output("FILE", "The card, Markdown.")],
    template: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Markdown with {{places}} for the figures.", show_default="a plain one"),
    ] = None,
) -> None:
    """Write a model card whose figures all come from a report.

    A template holds what only people know, and places to fill: {{model}}, {{facts}}, {{figures}}, and single numbers
    such as {{utkface.age_mae}} or {{utkface/band/60-69.age_bias}}. {{worse than MODEL}} lists the decades, ancestries
    and genders that the model serves worse than another one of the report.

    \b
    Examples:
      agegender card reports/default --model mobilenetv2 --output model-card.md
      agegender card reports/default --model mobilenetv2 --template card.md --output model-card.md
    """
    require_train()
    from agegender_train.files import write_atomically
    from agegender_train.report import make_card, read_report
    from agegender_train.report.cards import TEMPLATE

    refuse_folder(output)
    refuse_source(output, [template, *(path for path in report.rglob("*") if path.is_file())])
    text = TEMPLATE if template is None else template.read_text("utf-8")
    content = make_card(read_report(report), model, text)
    write_atomically(output, content.encode())
    message(f"{output} is ready")
