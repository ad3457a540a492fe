"""Machine code for x86-64, made here, in time linear in the program.

`code.py` lays out functions and memory, `registers.py` allocates registers, `assembler.py` encodes.
The tests prove the result from its bytes: see `tests/machine_code/`.
"""
