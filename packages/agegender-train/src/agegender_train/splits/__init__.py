"""Which faces to train on and which to test on: folds, and the splits that the datasets' authors made."""

from agegender_train.splits.assign import assign_folds
from agegender_train.splits.balance import balance
from agegender_train.splits.files import list_splits, read_split, split_path, write_split
from agegender_train.splits.make import HELD_OUT, SIDES, TEST, TRAIN, VAL, Split, SplitSettings, make_split, side_name
from agegender_train.splits.ready import ready_folds
from agegender_train.splits.use import training_sides

__all__ = [
    "HELD_OUT",
    "SIDES",
    "TEST",
    "TRAIN",
    "VAL",
    "Split",
    "SplitSettings",
    "assign_folds",
    "balance",
    "list_splits",
    "make_split",
    "read_split",
    "ready_folds",
    "side_name",
    "split_path",
    "training_sides",
    "write_split",
]
