"""Atomic writes, where they may go, one process at a time in a folder, pieces of a file, and work by threads."""

from agegender_core.locks import folder_lock, is_locked
from agegender_train.files.atomic import write_atomically
from agegender_train.files.parallel import Progress, map_in_order, no_progress
from agegender_train.files.pieces import FilePieces
from agegender_train.files.places import keep_apart

__all__ = [
    "FilePieces",
    "Progress",
    "folder_lock",
    "is_locked",
    "keep_apart",
    "map_in_order",
    "no_progress",
    "write_atomically",
]
