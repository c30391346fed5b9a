"""``agegender zones``: draw the lines and zones at which people are counted, on a page of this machine."""

from __future__ import annotations

import secrets
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import UserError
from .output import message
from .serving import open_listener, server_packages
from .targets import refuse_folder, refuse_source

if TYPE_CHECKING:
    from agegender_core.counting import Regions
    from agegender_core.faces import Frame


def zones(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A video, camera or stream, as agegender stream takes.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The TOML file; the regions of one that is there are shown."
        ),
    ] = Path("zones.toml"),
    at: Annotated[
        float, typer.Option("--at", min=0, metavar="SECONDS", help="Draw over the frame of this time.")
    ] = 0.0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page.", show_default="one that is free")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Draw lines and zones over a frame of a video, for agegender stream --zones to count at.

    Save on the page writes the file; an earlier one that it replaces stays beside it as FILE.bak. Ctrl-C ends.

    \b
    Examples:
      agegender zones lobby.mp4
      agegender zones 0 --output door.toml
      agegender zones rtsp://10.0.0.7/live --output lobby.toml --no-browser --port 8000
    """
    with server_packages("agegender zones"):
        from agegender_core.serve.limits import Limits
        from agegender_core.serve.server import address_of, serve
        from agegender_core.serve.zones import Drawing, zones_app
    from agegender_core.files import write_bytes

    refuse_folder(output)
    refuse_source(output, [Path(source)])
    if not output.absolute().parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.parent}")
    regions = _regions(output)
    frame = _frame(source, at)

    def save(text: str) -> None:
        content = text.encode()
        if output.exists() and output.read_bytes() != content:
            _backup(output)
        write_bytes(output, content)
        message(f"Written: {output}.")

    secret = secrets.token_urlsafe(16)
    with open_listener("127.0.0.1", port, None) as listener:
        address = f"{address_of(listener)}{secret}/"
        message(f"Draw on {address}\nCtrl-C ends.")
        if browser:
            import webbrowser

            webbrowser.open(address)
        command = f"agegender stream {shlex.quote(source)} --zones {shlex.quote(str(output))} --counts counts.csv"
        serve(zones_app(Drawing(frame, regions, command, save), secret), listener, Limits())


def _regions(path: Path) -> Regions | None:
    from agegender_core.counting import read_regions

    return read_regions(path) if path.exists() else None


def _frame(source: str, at: float) -> Frame:
    from agegender_core.sources import open_source

    last = None
    with open_source(source) as frames:
        for frame in frames:
            last = frame
            if frame.time >= at:
                return frame.image
    if last is None:
        raise UserError(f"{source} has no frame")
    raise UserError(f"--at {at:g}: {source} has only {last.time:.1f} seconds", hint="leave it out for the first frame")


def _backup(path: Path) -> None:
    """Keeps a file as it is under the first name that is free."""
    number = 1
    while (backup := path.with_name(f"{path.name}.bak{'' if number == 1 else number}")).exists():
        number += 1
    backup.write_bytes(path.read_bytes())
