"""What is in a store and what was left out of it, to be seen: plots, contact sheets, and faces that are there twice."""

from agegender_train.audit.copies import Copy, find_copies
from agegender_train.audit.table import FaceTable

__all__ = ["Copy", "FaceTable", "find_copies"]
