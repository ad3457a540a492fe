"""A proof of machine code from its bytes, which all code that the tests make goes through: see `check.py`."""
