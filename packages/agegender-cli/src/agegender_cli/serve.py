"""``agegender serve``: ages and genders for other programs and for people, over HTTP."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from .options import (
    AnyRotation,
    Detector,
    DetectorName,
    Device,
    DeviceName,
    Flip,
    MinFace,
    MinQuality,
    Model,
    Quiet,
    Runtime,
    RuntimeName,
    Threshold,
    Token,
)
from .output import message
from .serving import open_listener, server_packages

_MOST_WORKERS = 8
_LIMITS = "Limits"


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 for other machines needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for one that is free.")] = 8000,
    token: Token = None,
    model: Model = None,
    device: Device = DeviceName.AUTO,
    runtime: Runtime = RuntimeName.AUTO,
    flip: Flip = None,
    detector: Detector = DetectorName.YUNET,
    min_face: MinFace = None,
    any_rotation: AnyRotation = False,
    threshold: Threshold = None,
    min_quality: MinQuality = 0.0,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, metavar="N", help="Batches at a time.", show_default="as many as cores, up to 8"),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Pictures in a batch at most.")] = 8,
    max_mb: Annotated[
        float, typer.Option(min=0.01, max=1000, metavar="MB", help="Of a request.", rich_help_panel=_LIMITS)
    ] = 32.0,
    max_megapixels: Annotated[
        float, typer.Option(min=0.01, max=200, metavar="MP", help="Of a picture.", rich_help_panel=_LIMITS)
    ] = 50.0,
    max_pictures: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="In a request.", rich_help_panel=_LIMITS)
    ] = 32,
    queue: Annotated[
        int,
        typer.Option(min=1, max=10_000, metavar="N", help="Pictures that may wait; then 503.", rich_help_panel=_LIMITS),
    ] = 64,
    rate: Annotated[
        float,
        typer.Option(
            min=0, metavar="N", help="Requests a second of a client; then 429. 0: any.", rich_help_panel=_LIMITS
        ),
    ] = 50.0,
    timeout: Annotated[
        float,
        typer.Option(min=0.1, metavar="SECONDS", help="For an answer; then 504.", rich_help_panel=_LIMITS),
    ] = 30.0,
    connections: Annotated[
        int,
        typer.Option(min=1, max=10_000, metavar="N", help="Open at a time; then 503.", rich_help_panel=_LIMITS),
    ] = 256,
    quiet: Quiet = False,
) -> None:
    """Answer the requests of other programs, and show a page where people drop pictures or use their camera.

    POST /predict takes pictures and gives what agegender predict --format json prints; /docs describes it. Pictures of
    several clients are looked at together. Nothing that is sent is stored. Ctrl-C ends.

    \b
    Examples:
      agegender serve
      AGEGENDER_TOKEN=3f9c5a71d2 agegender serve --host 0.0.0.0 --port 8080
      agegender serve --model fast --max-megapixels 12 --rate 5
    """
    # Before OpenCV is loaded: in formats whose size isn't read beforehand, it is OpenCV that refuses to decode.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(round(max_megapixels * 1e6)))
    with server_packages("serve"):
        from agegender_core.serve.app import Served, serve_app
        from agegender_core.serve.batching import Batcher
        from agegender_core.serve.limits import Limits
        from agegender_core.serve.metrics import ServerMetrics
        from agegender_core.serve.server import address_of
        from agegender_core.serve.server import serve as run
    from agegender_core.cpus import usable_cpus
    from agegender_core.pipeline import Pipeline

    limits = Limits(
        max_bytes=round(max_mb * 1e6),
        max_pixels=round(max_megapixels * 1e6),
        max_pictures=max_pictures,
        queue=queue,
        held_bytes=max(Limits.held_bytes, 2 * round(max_mb * 1e6)),
        rate=rate,
        answer_seconds=timeout,
        connections=connections,
    )
    # First what can be wrong at once; the models take a moment.
    with open_listener(host, port, token) as listener:
        pipeline = Pipeline.for_pictures(
            model,
            detector=detector.value,
            min_face=min_face,
            any_rotation=any_rotation,
            threshold=threshold,
            min_quality=min_quality,
            flip=flip,
            device=device,
            runtime=runtime,
        )
        metrics = ServerMetrics(waiting=lambda: batcher.waiting)
        batcher = Batcher(
            pipeline,
            max_pixels=limits.max_pixels,
            queue=queue,
            batch=batch,
            workers=min(_MOST_WORKERS, usable_cpus()) if workers is None else workers,
            on_batch=metrics.batch,
        )
        name = getattr(pipeline.stages[-1], "name", "")
        with batcher:
            if not quiet:
                message(f"Serving on {address_of(listener)}\nCtrl-C ends.")
            run(serve_app(Served(batcher, None, name, metrics), limits, token), listener, limits)
