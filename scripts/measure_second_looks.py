"""Print what a second, mirrored look is worth, if only faces of whose gender a network is unsure get it.

    uv run python scripts/measure_second_looks.py stores/fairface --validation 0.05

The faces are those that `agegender train --validation PART` keeps out of training. A face is seen twice where the
network gives neither gender the probability in the first column; 0 is nowhere, and 1 nearly everywhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from agegender_core import load_predictor
from agegender_core.decoding import SURE
from agegender_core.model_file import decoder_of, from_metadata
from agegender_train.batches.face_set import FaceSet
from agegender_train.metrics.errors import age_error, gender_error
from agegender_train.runs.faces import chosen_rows
from agegender_train.runs.settings import Settings
from agegender_train.store import Store
from agegender_train.store.labels import GENDER_MISSING

LIMITS = (0, 0.6, 0.7, SURE, 0.9, 0.95, 0.98, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--validation", type=float, default=0.05, metavar="PART")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="accurate")
    args = parser.parse_args()
    faces = FaceSet([Store.open(args.store)])
    _, rows = chosen_rows(faces, Settings(validation_fraction=args.validation, seed=args.seed))
    chips, labels = faces.chips(rows), faces.labels[rows]
    once, twice = (load_predictor(args.model, flip=flip) for flip in (False, True))
    decode = decoder_of(from_metadata(once.metadata))
    first, mean = once.raw_outputs(chips), twice.raw_outputs(chips)
    print(f"{args.model}, {len(rows):,} faces")
    print("sure from  seen twice  right gender  age error to group")
    for limit in LIMITS:
        again = decode.is_unsure(first, limit)
        seen = decode({name: np.where(again[:, None], mean[name], values) for name, values in first.items()})
        if seen.age is None or seen.p_male is None:
            raise SystemExit(f"{args.model} has not learned both ages and genders")
        wrong, off = gender_error(labels, seen.p_male) > 0.5, age_error(labels, seen.age)
        known = labels.gender != GENDER_MISSING
        print(f"{limit:9.0%}  {again.mean():10.1%}  {1 - wrong[known].mean():12.2%}  {np.nanmean(off):12.2f} years")


if __name__ == "__main__":
    main()
