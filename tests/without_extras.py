"""As if llvmlite and numpy were not installed: `python -m pytest -p tests.without_extras tests/test_compile*.py`."""

import sys
from importlib import util
from importlib.abc import MetaPathFinder

_MISSING = ("llvmlite", "numpy")
_find = util.find_spec


class _Finder(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in _MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, _Finder())
util.find_spec = lambda name, package=None: None if name in _MISSING else _find(name, package)
