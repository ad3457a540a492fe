"""Data sets: loading, splitting, scaling and batching lists of samples, and the sets that the chapters use.

`dataset.py` is where to start; the files of the two real sets stand in `files/`.
"""

from .dataset import *  # noqa: F403
from .dataset import __all__, __dir__  # noqa: F401
