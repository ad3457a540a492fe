"""A compiled function over many samples: `batch.py`; the order of sums in `order.py`."""
