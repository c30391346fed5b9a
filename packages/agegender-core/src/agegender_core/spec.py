"""How a network wants its faces: the part of a model file that training and use share."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Literal


@dataclass(frozen=True)
class PreprocessSpec:
    """From a frame to a network's input.

    A chip of `chip_size` pixels is cut with the margin `chip_padding`, cropped about its centre to the margin `margin`,
    resized to `input_size` and normalised: ``(pixel - mean) * scale`` for each channel.

    Attributes:
        input_size: width and height of the network's input, pixels.
        chip_size: width and height of the aligned chip, pixels.
        chip_padding: margin of the chip on each side, as a part of the face's side.
        margin: margin that the network sees, at most `chip_padding`.
        color: order of the input's channels.
        layout: order of the input's axes.
        mean: grey levels 0..255, in the order of the input's channels.
        scale: in the order of the input's channels.
        interpolation: "area" averages where the crop is larger than the input and is bilinear where it is smaller.

    Raises:
        ValueError: a value is out of its range.
    """

    input_size: int
    chip_size: int = 140
    chip_padding: float = 0.4
    margin: float = 0.4
    color: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nhwc", "nchw"] = "nhwc"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    interpolation: Literal["area"] = "area"

    def __post_init__(self) -> None:
        if not (1 <= self.input_size <= 4096 and 1 <= self.chip_size <= 4096):
            raise ValueError(f"input_size and chip_size must be 1..4096, got {self.input_size} and {self.chip_size}")
        if not 0 <= self.margin <= self.chip_padding <= 10:
            raise ValueError(
                f"margin must lie between 0 and chip_padding, got margin {self.margin} and padding {self.chip_padding}"
            )
        for name, allowed in (("color", ("rgb", "bgr")), ("layout", ("nhwc", "nchw")), ("interpolation", ("area",))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        for name in ("mean", "scale"):
            if len(getattr(self, name)) != 3:
                raise ValueError(f"{name} must hold three numbers, got {getattr(self, name)!r}")

    @property
    def crop(self) -> tuple[float, float, float, float]:
        """The part of the chip that the network sees: left, top, right, bottom in pixels, fractional."""
        border = self.chip_size * (1 - (1 + 2 * self.margin) / (1 + 2 * self.chip_padding)) / 2
        return border, border, self.chip_size - border, self.chip_size - border

    def to_json(self) -> str:
        """The spec as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PreprocessSpec:
        """The inverse of `to_json`.

        Raises:
            ValueError: no JSON object, a field is missing or unknown, or a value is out of its range.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"a preprocessing spec is a JSON object, got {text[:60]!r}")
        names = {field.name for field in fields(cls)}
        if missing := names - values.keys():
            raise ValueError(f"the preprocessing spec lacks {', '.join(sorted(missing))}")
        if unknown := values.keys() - names:
            raise ValueError(
                f"the preprocessing spec has fields that this version does not know: {', '.join(sorted(unknown))}"
            )
        return cls(**{**values, "mean": tuple(values["mean"]), "scale": tuple(values["scale"])})
