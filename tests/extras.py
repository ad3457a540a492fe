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

HAS_LLVM = native._has_llvm()
needs_numpy = pytest.mark.skipif(np is None, reason="needs numpy")
needs_llvm = pytest.mark.skipif(not HAS_LLVM, reason="needs llvmlite")
needs_native = pytest.mark.skipif(not native.available(), reason="needs x86-64 with AVX on Linux, or llvmlite")
BACKENDS = ["python", pytest.param("native", marks=needs_native)]
needs_batches = pytest.mark.skipif(not native.available(True), reason="needs AVX-512 on Linux, or llvmlite")
MAPPING = ["python", pytest.param("native", marks=needs_batches)]
