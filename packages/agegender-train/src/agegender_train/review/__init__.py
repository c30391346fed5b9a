"""The local web page on which faces are reviewed; the decisions themselves are in `agegender_train.store`.

The server is in `agegender_train.review.server` and needs the extra ``review``.
"""
