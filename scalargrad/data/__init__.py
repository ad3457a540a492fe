"""Data sets: loading, splitting, scaling and batching lists of samples, and the sets that the chapters use.

`dataset.py` is where to start; the files of the two real sets stand in `files/`.
"""

# fmt: off
from .dataset import (  # isort: skip
    Dataset, Labels, Scaling, circle, digits, gauss, iris, lynx_hare, moons, regression_gauss, regression_plane, spiral,
    xor,
)
# fmt: on

__all__ = [
    "Dataset", "Labels", "Scaling", "circle", "digits", "gauss", "iris", "lynx_hare", "moons", "regression_gauss",
    "regression_plane", "spiral", "xor",
]  # fmt: skip
__dir__ = __all__.copy
