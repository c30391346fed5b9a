"""``agegender review``: look at the faces of a store and decide on each, on a local page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .errors import UserError, require_train
from .options import DetectorName, Model
from .output import message


def review(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The aligned store to review.")],
    ages: Annotated[
        str, typer.Option(metavar="0-20|35|missing", help="Begin with faces of these ages.", show_default="all")
    ] = "",
    gender: Annotated[
        str, typer.Option(metavar="m|f|missing", help="Begin with faces of this gender.", show_default="all")
    ] = "",
    model: Model = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SOURCE", help="What the store was made of, to choose other faces in its pictures; may be repeated."
        ),
    ] = None,
    detector: Annotated[
        DetectorName | None,
        typer.Option(
            metavar="yunet|hog", help="With --source: what finds the faces to choose from.", show_default="yunet"
        ),
    ] = None,
    landmarks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --source: the landmark model, if the store was made with --landmarks."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page.", show_default="one that is free")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Review the faces of a store by eye: accept, reject, or correct age and gender, on a page of this machine.

    Each decision is a line in STORE/review.csv, which train and eval apply. With --model the faces can be sorted by how
    far that model is from the label. With --source another face of the same picture can be chosen. Ctrl-C ends.

    \b
    Examples:
      agegender review stores/imdb --ages 0-20
      agegender review stores/utkface --gender missing
      agegender review stores/utkface --model runs/first/model.onnx
      agegender review stores/imdb --source ~/data/imdb_crop --source imdb.mat --detector yunet
    """
    require_train()
    if not source and (detector is not None or landmarks is not None):
        option = "--landmarks" if detector is None else "--detector"
        raise UserError(f"{option} is of no use without --source", hint="--source says what the store was made of")
    from agegender_core.detect import DEFAULT_DETECTOR
    from agegender_core.predict import load_predictor
    from agegender_train.review.other_faces import OtherFaces
    from agegender_train.review.selection import Selection
    from agegender_train.review.session import open_session

    try:
        from agegender_train.review.server import serve
    except ModuleNotFoundError as error:
        raise UserError(
            f"review needs a package that is not installed: {error.name}", hint="pip install starlette uvicorn"
        ) from None
    selection = Selection(ages=ages, gender=gender)
    find_others = (
        partial(OtherFaces.of, source=source, detector=detector or DEFAULT_DETECTOR, landmarks=landmarks)
        if source
        else None
    )
    with open_session(store, load_predictor(model), find_others) as session:
        if session.repaired:
            message("The last line of review.csv was cut off; make that decision again.")
        if model is not None:
            session.predictions.start()
        serve(session, port, lambda address: _announce(address + selection.to_query(), browser))
        message(f"{session.summary()} in {store / 'review.csv'}")


def _announce(address: str, browser: bool) -> None:
    message(f"Reviewing on {address}\nCtrl-C ends.")
    if browser:
        import webbrowser

        webbrowser.open(address)
