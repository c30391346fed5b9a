"""Files that are whole or absent, folders for one process at a time, pieces of a file, and work in order on threads."""

from agegender_train.files.atomic import write_atomically
from agegender_train.files.locks import folder_lock, is_locked
from agegender_train.files.parallel import map_in_order
from agegender_train.files.pieces import FilePieces

__all__ = ["FilePieces", "folder_lock", "is_locked", "map_in_order", "write_atomically"]
