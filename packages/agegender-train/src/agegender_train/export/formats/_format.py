"""What a format's file says of itself, so that an export needs to know no format by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agegender_train.export.trained import Outputs, Trained

Batch: TypeAlias = npt.NDArray[np.float32]
"""Preprocessed faces: float32 (n, s, s, 3)."""

Run: TypeAlias = Callable[[Batch], Outputs]
"""A network in use, on one thread."""


@dataclass(frozen=True)
class Format:
    """A kind of artefact.

    Attributes:
        name: what users call it.
        suffix: of its file.
        precisions: of its weights: some of "fp32", "fp16" and "int8".
        write: writes a network to a path in a precision; takes faces to measure the ranges of values of int8 with.
        load: makes a written file ready for use.
        companions: suffixes of files that belong to it, with the same stem.
    """

    name: str
    suffix: str
    precisions: tuple[str, ...]
    write: Callable[[Trained, Path, str, Batch | None], None]
    load: Callable[[Path], Run]
    companions: tuple[str, ...] = ()


def faces_for(precision: str, faces: Batch | None) -> Batch:
    """`faces`, which `precision` needs.

    Raises:
        ValueError: there are none.
    """
    if faces is None or not len(faces):
        raise ValueError(f"{precision} needs faces to measure the ranges of values with, got none")
    return faces
