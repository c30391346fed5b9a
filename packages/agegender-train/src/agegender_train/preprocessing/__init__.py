"""From a dataset's pictures to an aligned store.

Where to look, in the order of the work: `job` (the call and its checks), `description` (what the store is made of),
`making` (the two passes), `cleaning` and `agreement` (copies and conflicts by content), `scheduling` or `cluster` (who
makes the shards), `shards` (one of them), `pictures`, `choice` and `search` (one picture), `near_duplicates` and
`same_picture` (copies by looks), `workspace` and `parts` (what is done and on disk), `finishing` (the audit).
"""

from agegender_train.preprocessing.job import preprocess
from agegender_train.preprocessing.making import Progress

__all__ = ["Progress", "preprocess"]
