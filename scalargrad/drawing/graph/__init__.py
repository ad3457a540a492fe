"""The picture of a graph, with the chain rule on it.

`drawing.py` is where to start: `draw` and `Drawing`. `selection.py` decides what is shown, `reading.py` reads it off
the `Value`s, `picture.py` is what a picture says, as plain data, and `replay.py` its backward pass step by step.
`styles.py` and `labels.py` say how nodes and edges look and what stands on them; `dot.py`, `layout.py` and
`layout_engines.py` find the places; `svg.py`, `tree.py` and `frames.py` draw.
"""
