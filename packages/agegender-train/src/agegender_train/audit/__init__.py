"""The audit of stores, as a page and in figures: what is in them, what was rejected, and what occurs twice."""

from agegender_train.audit.overlaps import Overlaps, Sides, find_overlaps
from agegender_train.audit.summary import LABELS_FILE, Summary
from agegender_train.audit.writing import write_audit, write_page

__all__ = ["LABELS_FILE", "Overlaps", "Sides", "Summary", "find_overlaps", "write_audit", "write_page"]
