"""As if llvmlite and numpy were not installed: `python -m pytest -p tests.without_extras tests/test_compile*.py`."""

import sys
from importlib import util

_MISSING = ("llvmlite", "numpy")
_find = util.find_spec

for _name in _MISSING:
    sys.modules[_name] = None  # type: ignore[assignment]  # what an import then takes for missing
util.find_spec = lambda name, package=None: None if name in _MISSING else _find(name, package)
