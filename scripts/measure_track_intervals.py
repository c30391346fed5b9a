"""Print how often a track's age interval holds the true age, as it is and if it were narrower by averaging.

    uv run python scripts/measure_track_intervals.py FGNET.tar

FG-NET has several photos of each person. Those within --years of each other stand for the looks at one track, with all
ages moved to the first one's; `Smoother` makes an age and an interval of them. "narrower" is what the interval would be
if the looks' errors were independent but for what they share: its half width times sqrt(1 - s2/v (1 - 1/n)), with the
variance s2 of the looks within the track, the variance v that the model gives for one look, and n looks.
"""

from __future__ import annotations

import argparse
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from agegender_core import Faces, Pipeline, Smoother, decode_image

LEAST = 3


class Look(NamedTuple):
    person: int
    age: int
    face: Faces


def looks(archive: Path) -> Iterator[Look]:
    pipeline = Pipeline.for_pictures()
    with tarfile.open(archive) as tar:
        for member in tar:
            name = re.match(r"(\d{3})A(\d{2})", Path(member.name).name.upper())
            file = tar.extractfile(member) if member.name.lower().endswith((".jpg", ".jpeg", ".png")) else None
            if not name or file is None:
                continue
            faces = pipeline(decode_image(file.read()))
            if len(faces):
                largest = int(np.argmax(faces.xyxy[:, 2] - faces.xyxy[:, 0]))
                yield Look(int(name[1]), int(name[2]), faces[[largest]])


def tracks(found: Sequence[Look], years: int) -> Iterator[list[Look]]:
    track: list[Look] = []
    for look in sorted(found, key=lambda look: (look.person, look.age)):
        if track and (look.person != track[0].person or look.age > track[0].age + years):
            yield track
            track = []
        track.append(look)
    yield track


def of_track(track: Sequence[Look]) -> tuple[float, float, float, float]:
    """Error of the track's age, the interval's ends less the true age, and how much narrower it would be."""
    smoother, errors, variances = Smoother(time_constant=1e6), [], []
    for place, look in enumerate(track):
        face, years = look.face, track[0].age - look.age
        assert face.age is not None
        assert face.age_interval is not None
        assert face.age_std is not None
        moved = face.with_columns(
            age=face.age + np.float32(years),
            age_interval=face.age_interval + np.float32(years),
            track_id=np.ones(1, np.int64),
            time=place * 0.5,
        )
        shown = smoother(np.zeros((8, 8, 3), np.uint8), moved)
        errors.append(float(face.age[0]) - look.age)
        variances.append(float(face.age_std[0]) ** 2)
    assert shown.age is not None
    assert shown.age_interval is not None
    age, (low, high) = float(shown.age[0]), shown.age_interval[0].tolist()
    noise = min(float(np.var(errors, ddof=1)) / float(np.mean(variances)), 1.0)
    narrower = float(np.sqrt(max(1 - noise * (1 - 1 / len(track)), 0.0)))
    return age - track[0].age, low - track[0].age, high - track[0].age, narrower


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("--years", type=int, nargs="+", default=[2, 4, 6])
    args = parser.parse_args()
    found = list(looks(args.archive))
    errors = [abs(float(look.face.age[0]) - look.age) for look in found if look.face.age is not None]
    inside = [
        look.face.age_interval[0, 0] <= look.age <= look.face.age_interval[0, 1]
        for look in found
        if look.face.age_interval is not None
    ]
    print(f"{len(found)} photos alone: {np.mean(errors):.2f} years, {np.mean(inside):.1%} inside")
    for years in args.years:
        rows = np.array([of_track(track) for track in tracks(found, years) if len(track) >= LEAST])
        error, low, high, narrower = rows.T
        as_it_is = (low <= 0) & (high >= 0)
        if_narrower = (error - (error - low) * narrower <= 0) & (error + (high - error) * narrower >= 0)
        print(
            f"{len(rows)} tracks of {LEAST} photos or more within {years} years: {np.abs(error).mean():.2f} years, "
            f"{as_it_is.mean():.1%} inside an interval of {np.mean(high - low):.1f} years; "
            f"narrower: {if_narrower.mean():.1%} inside {np.mean((high - low) * narrower):.1f} years"
        )


if __name__ == "__main__":
    main()
