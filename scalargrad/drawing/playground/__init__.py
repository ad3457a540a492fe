"""The playground: one HTML file without network, in which a recorded training plays, epoch by epoch.

Apart from the rest of the drawing, because it is an application of its own. A `Recording` keeps the weights of every
epoch; the page computes from them, in JavaScript, what every neuron makes of the plane.
"""

from .html import Playground
from .recording import Recording, Snapshot

__all__ = ["Playground", "Recording", "Snapshot"]
