"""The playground: one HTML file without network, in which a recorded training plays, epoch by epoch.

A `Recording` keeps the weights of every epoch (`recording.py`); the page (`html.py` and the scripts beside it) computes
from them, in JavaScript, what every neuron makes of the plane.
"""

from .html import Playground
from .recording import Recording, Snapshot

__all__ = ["Playground", "Recording", "Snapshot"]
