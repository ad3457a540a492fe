"""What tests need of the optional packages: a test without its package is skipped, and its file goes on."""

from __future__ import annotations

from typing import Any

import pytest

from scalargrad.compiler.backends import native

np: Any
try:
    import numpy as np
except ImportError:
    np = None

needs_numpy = pytest.mark.skipif(np is None, reason="needs numpy")
needs_llvm = pytest.mark.skipif(not native.available(batches=True), reason="needs llvmlite")
# Backends for `map`: machine code for batches needs LLVM, where the loop over samples is made.
MAPPING = ["python", pytest.param("native", marks=needs_llvm)]
