"""Activations: what a unit makes of its weighted sum.

`functions.py` is what users call and where to start; `primitives.py` has the operations that only networks need, and
`values.py` their arithmetic on floats.
"""

from .functions import *  # noqa: F403
from .functions import __all__, __dir__  # noqa: F401
