"""From a Python function to programs: run it on numbers that record, and answer calls by what was recorded.

`trace.py` makes a program of one run; `function.py` is the object that `compile` returns; `specialization.py` is one
trace with what the backends made of it; `packing.py` flattens arguments, `pickling.py` keeps functions in pickles,
`drawn.py` gives a program back as a graph.
"""
