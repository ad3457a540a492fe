"""A compiled function over many samples: `batch.py`; the loop is in `driver.py`, the order of sums in `order.py`."""
