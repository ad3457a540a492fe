"""The picture of a graph, with the chain rule on it.

`drawing.py` is where to start: `draw` and `Drawing`. `selection.py` decides what is shown, `reading.py` reads it off
the `Value`s, `picture.py` is what a picture says, as plain data; `dot.py`, `layout.py` and `layout_engines.py` find the
places, `svg.py`, `tree.py` and `frames.py` draw.
"""
