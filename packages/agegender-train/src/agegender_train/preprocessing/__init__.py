"""From a dataset's pictures to an aligned store: `preprocess`.

`job` is the call and its checks, `making` the two passes over the dataset, `cleaning` what is rejected before any
picture is decoded. `shards` makes one shard (or `cluster` has it made elsewhere), `pictures` one picture's rows,
`search` finds the face in it. `workspace` keeps the unfinished store on disk. `label_table` is for labels alone.
"""

from agegender_train.files import Progress
from agegender_train.preprocessing.job import preprocess

__all__ = ["Progress", "preprocess"]
