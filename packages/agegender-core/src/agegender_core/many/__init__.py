"""Many pictures: where they lie, and a table of all their faces, made on this machine or on a Dask cluster.

`listing` names pictures wherever they are; `files`, `archives`, `remote` and `parquet_images` find and read them;
`rows` looks at them in order; `table` writes the rows as Parquet, and `job` does so shard by shard, so that a run that
was stopped goes on; `cluster` gives work to the workers of a Dask scheduler.
"""
