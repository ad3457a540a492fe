"""The picture of a network by layer.

`reading.py` is where to start, `picture.py` what it says, `layout.py` and `svg.py` draw it. `neuron.py` shows one unit
as a graph, `comparison.py` what a training step changed.
"""
