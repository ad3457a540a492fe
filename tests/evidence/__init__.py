"""Evidence for the engine: random graphs in the mass against exact arithmetic, laws, mutants, as one command.

    python -m tests.evidence --help

It is run by itself, not with the other tests, because it is a measurement as much as a test: it runs for as long as it
is told to, and prints figures. pytest runs the short form of all of it, in `tests/test_evidence.py`.
"""
