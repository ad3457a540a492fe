"""A compiled function over many samples: `batch.py`, with the loop in `driver.py`; `order.py` is the order of its sums."""
