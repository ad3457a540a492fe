"""Derivatives as functions of functions, and the trees of numbers that they take and return.

`derivatives.py` has `grad`, `jacobian`, `jvp` and their kin; start there. `trees.py` takes nested lists, tuples and
dicts of numbers apart and puts them together again: compiled functions and the tests of gradients use it as well.
`collector.py` lets the garbage collector rest while a graph is recorded, `pickling.py` puts functions into pickles.
"""
