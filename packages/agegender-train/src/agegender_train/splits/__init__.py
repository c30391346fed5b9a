"""Splits: which faces to train and to test on, in folds or as the datasets' authors split them."""

from agegender_train.splits.assign import assign_folds
from agegender_train.splits.files import list_splits, read_split, split_path, write_split
from agegender_train.splits.make import (
    HELD_OUT,
    SIDES,
    TEST,
    TRAIN,
    VAL,
    Split,
    SplitSettings,
    balance,
    make_split,
    side_name,
)
from agegender_train.splits.use import ready_folds, training_sides

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
