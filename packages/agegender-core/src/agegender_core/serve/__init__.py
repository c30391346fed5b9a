"""A server of the pipeline for other programs and for people: ``agegender serve`` and ``agegender stream --serve``.

It needs the extra ``agegender-core[serve]``, and is the only part of the library that imports Starlette, uvicorn and
prometheus-client. Nothing that a request holds is used as a path, and nothing is written to a disk.
"""
