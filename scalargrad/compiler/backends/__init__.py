"""What programs are turned into: Python source, C, machine code by LLVM, and x86-64 code of our own.

`native.py` chooses who makes machine code, `machine.py` has what all of it needs, `executable.py` asks the system for
memory that can be run.
"""
