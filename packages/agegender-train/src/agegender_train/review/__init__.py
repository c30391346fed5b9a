"""Review by eye: decisions on single faces, kept beside a store, and the local page on which they are made.

The server is in `agegender_train.review.serving` and needs the extra ``review``; the decisions need nothing.
"""

from agegender_train.review.decisions import REVIEW_FILE, Decision, in_force, read_decisions

__all__ = ["REVIEW_FILE", "Decision", "in_force", "read_decisions"]
