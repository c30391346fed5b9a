"""How far chips are changed in training; apart from the changes themselves, which need NumPy."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Augmentation:
    """How far chips are changed; every change is drawn anew for each face of each epoch, evenly from its range.

    Attributes:
        flip: probability of a mirrored face.
        shift: greatest move to each side, as a part of the chip's side.
        scale: greatest change of size, as a part of the size, both up and down.
        rotation: greatest turn about the chip's centre in degrees, to both sides.
        brightness: greatest offset as a part of 255.
        contrast: greatest change of contrast, as a part of it.
        saturation: greatest change of the colours' distance from grey, as a part of it.
        tint: greatest change of each channel's gain, as a part of it.
        grey: probability of a grey picture.
        blur: probability of a loss of detail: the chip is shrunk up to `shrink` times and enlarged again.
        shrink: greatest loss of detail.
        occlusion: probability of a rectangle of one colour over a part of the face.
        surroundings: probability of other surroundings: what lies outside a rectangle about the face becomes black, of
            one colour, or the middle of another chip. Datasets are cropped in ways that photos are not, and what is
            outside their pictures is black: a network must not read an age from that.
        inset: greatest part of the chip's side that the surroundings reach in from each edge.

    Raises:
        ValueError: a value is out of its range.
    """

    flip: float = 0.5
    shift: float = 0.03
    scale: float = 0.08
    rotation: float = 8.0
    brightness: float = 0.15
    contrast: float = 0.25
    saturation: float = 0.4
    tint: float = 0.08
    grey: float = 0.05
    blur: float = 0.2
    shrink: float = 4.0
    occlusion: float = 0.1
    surroundings: float = 0.3
    inset: float = 0.2

    def __post_init__(self) -> None:
        limits = {"scale": (0.0, 0.5), "rotation": (0.0, 180.0), "shrink": (1.0, 64.0), "inset": (0.0, 0.45)}
        for field in fields(self):
            low, high = limits.get(field.name, (0.0, 1.0))
            if not low <= getattr(self, field.name) <= high:
                raise ValueError(f"{field.name} must be in [{low:g}, {high:g}], got {getattr(self, field.name)}")

    @classmethod
    def none(cls) -> Augmentation:
        """No change at all."""
        return cls(**{field.name: 1.0 if field.name == "shrink" else 0.0 for field in fields(cls)})
