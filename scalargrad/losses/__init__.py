"""Losses: how wrong a batch of predictions is.

`functions.py` is what users call and where to start, `primitives.py` has the operations that would lose digits if they
were composed, `batches.py` reads and checks what is given, `summation.py` has the order in which samples are added.
"""

from .functions import *  # noqa: F403
from .functions import __all__, __dir__  # noqa: F401
