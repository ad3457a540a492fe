"""From a Python function to programs: run it on numbers that record, and answer calls by what was recorded.

`trace.py` makes a program of one run, which it puts on the tape of `tape.py`, as it does its derivatives;
`specialization.py` has one trace with what the backends made of it,
`dispatch.py` finds the trace that answers a call; `packing.py` flattens arguments, `pickling.py` keeps functions in
pickles, `as_graph.py` gives a program back as a graph.
"""
