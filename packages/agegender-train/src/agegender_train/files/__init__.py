"""Files that are whole or absent, folders for one process at a time, and work in order on threads."""

from agegender_train.files.atomic import write_atomically
from agegender_train.files.locks import folder_lock, is_locked
from agegender_train.files.parallel import map_in_order, no_progress

__all__ = ["folder_lock", "is_locked", "map_in_order", "no_progress", "write_atomically"]
