"""Machine code for x86-64, made here, in time linear in the program.

`code.py` lays out functions and memory, `registers.py` allocates registers, `assembler.py` encodes.
`allocation_check.py` proves the result from its bytes, by `decoder.py`, `numbering.py` and `symbolic_state.py`.
"""
