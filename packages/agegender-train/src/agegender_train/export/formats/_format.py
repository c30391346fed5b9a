"""What the file of a format declares, so that an export needs to know no format by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from agegender_train.export.trained import Outputs, Trained

Inputs: TypeAlias = npt.NDArray[np.float32]
"""Preprocessed faces: float32 (n, s, s, 3)."""

Inference: TypeAlias = Callable[[Inputs], Outputs]
"""Runs a network on preprocessed faces, on one thread."""


@dataclass(frozen=True)
class Format:
    """A file format of networks.

    Attributes:
        name: what users call it.
        suffix: of its file.
        precisions: of its weights: some of "fp32", "fp16" and "int8".
        write: writes a network to a path in a precision; int8 measures its ranges of values on the given faces.
        load: opens a written file for inference.
        companions: suffixes of further files of the same stem that belong to it.
    """

    name: str
    suffix: str
    precisions: tuple[str, ...]
    write: Callable[[Trained, Path, str, Inputs | None], None]
    load: Callable[[Path], Inference]
    companions: tuple[str, ...] = ()


def faces_for(precision: str, faces: Inputs | None) -> Inputs:
    """`faces`, which `precision` needs.

    Raises:
        ValueError: there are none.
    """
    if faces is None or not len(faces):
        raise ValueError(f"{precision} needs faces to measure the ranges of values with, got none")
    return faces
