"""Programs: what a trace becomes and every backend reads.

`program.py` is where to start; `lowering.py` brings rows to the operations of `elementary.py`, by the bodies that
`symbolic.py` finds; `polynomials.py` has the elementary functions as arithmetic.
"""
