"""A test kit for derivatives: `check_grads`, `measure_derivative`, and hypothesis strategies for numbers and functions.

It serves tests of any project: function and claimed gradient may be anybody's, PyTorch's, JAX's or written by hand. A
property-based test of a gradient is three lines:

>>> from hypothesis import given, settings
>>> from scalargrad import exp, log1p
>>> def loss(w, x):
...     return log1p(exp(-w * x))
>>> def gradient_of_loss(w, x):
...     return -x / (1.0 + exp(w * x)), -w / (1.0 + exp(w * x))
>>> @settings(deadline=None)
... @given(finite_floats(-5, 5), finite_floats(-5, 5))
... def test_gradient_of_loss(w, x):
...     check_grads(loss, (w, x), gradient=gradient_of_loss, undecided="reject")
>>> test_gradient_of_loss()

`check_grads` and `measure_derivative` need the standard library only; the strategies need hypothesis, and say so where
it is missing. `pytest --gradient-report` lists what was checked in a run.
"""

from .checking import check_grads, check_primitive
from .measuring import Measurement, measure_derivative
from .programs import Program
from .reports import Finding, GradientError, Report, State, UndecidedError, Verdict

# fmt: off
from .strategies import (  # isort: skip
    Network, array_expressions, datasets, expressions, finite_floats, networks, number_arrays, values,
)
# fmt: on

__all__ = [
    "Finding", "GradientError", "Measurement", "Network", "Program", "Report", "State", "UndecidedError", "Verdict",
    "array_expressions", "check_grads", "check_primitive", "datasets", "expressions", "finite_floats",
    "measure_derivative", "networks", "number_arrays", "values",
]  # fmt: skip
__dir__ = __all__.copy
