"""A compiled function over many samples: `batch.py`, and calls like the one before: `again.py`.

`partial.py` and `binned.py` have sums over a part of the samples; `sources.py` and `distributed.py` are for batches
that executors share.
"""
