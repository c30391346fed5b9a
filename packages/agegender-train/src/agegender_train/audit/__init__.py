"""What is in stores and what was left out of them, to be seen: plots, contact sheets, and what is there twice."""

from agegender_train.audit.overlaps import Overlaps, Sides, find_overlaps
from agegender_train.audit.summary import LABELS_FILE, Summary
from agegender_train.audit.writing import write_audit, write_page

__all__ = ["LABELS_FILE", "Overlaps", "Sides", "Summary", "find_overlaps", "write_audit", "write_page"]
