"""Every operation there is, read off the registry, with the exact function that it is compared with."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath as mp

import scalargrad
from scalargrad.engine.primitive import EXAMPLES, TABLE, Primitive

for _each in pkgutil.walk_packages(scalargrad.__path__, "scalargrad."):  # a row is registered where it is defined
    if not (_each.name.endswith("__main__") or _each.name.startswith("scalargrad.plots.")):  # which wants matplotlib
        try:
            importlib.import_module(_each.name)
        except ModuleNotFoundError as error:
            if error.name != "numpy":  # which `scalargrad.arrays` is for
                raise

# In an order that does not depend on which module was imported first.
ROWS = sorted([*TABLE.values(), *(make(*parameters) for make, parameters in EXAMPLES)], key=lambda row: row.name)


def paired(row: Primitive) -> bool:
    """Whether its operands come in two halves, each with its own domain."""
    return row.arity is None and len(row.domain) == 2


@cache
def oracle(row: Primitive) -> Callable[..., Any]:
    """The exact function of a row, in mpmath: of as many operands, at the precision that is set when it is called."""
    assert row.oracle, f"{row.name}: its row states no oracle, the exact function in mpmath's names"
    operands = "*xs" if row.arity is None else ", ".join("abc"[: row.arity])
    exact: Callable[..., Any] = eval(f"lambda {operands}: {row.oracle}", dict(vars(mp)))
    return lambda *xs: mp.mpmathify(exact(*xs))
