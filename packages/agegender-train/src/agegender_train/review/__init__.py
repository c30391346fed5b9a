"""The local page on which faces are reviewed by eye; the decisions themselves are `agegender_train.store`'s.

The server is in `agegender_train.review.server` and needs the extra ``review``.
"""
