"""Atomic writes, one process at a time in a folder, pieces of a file, and work by threads."""

from agegender_train.files.atomic import write_atomically
from agegender_train.files.locks import folder_lock, is_locked
from agegender_train.files.parallel import Progress, map_in_order, no_progress
from agegender_train.files.pieces import FilePieces

__all__ = ["FilePieces", "Progress", "folder_lock", "is_locked", "map_in_order", "no_progress", "write_atomically"]
