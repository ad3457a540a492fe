"""A test kit for derivatives: `check_grads`, and hypothesis strategies for numbers, functions, networks and data.

It stands apart from the rest of scalargrad because it serves tests, of any project: function and claimed gradient may
be anybody's, PyTorch's, JAX's or written by hand. A property-based test of a gradient is three lines:

    @given(finite_floats(-5, 5), finite_floats(-5, 5))
    def test_gradient_of_loss(w, x):
        check_grads(loss, (w, x), gradient=gradient_of_loss, undecided="reject")

`check_grads` needs the standard library only; the strategies need hypothesis, and say so where it is missing.
"""

from .checking import Finding, GradientError, Report, UndecidedError, check_grads
from .programs import Program
from .strategies import Network, datasets, expressions, finite_floats, networks, values
from .verdicts import State, Verdict

# fmt: off
__all__ = [
    "Finding", "GradientError", "Network", "Program", "Report", "State", "UndecidedError", "Verdict", "check_grads",
    "datasets", "expressions", "finite_floats", "networks", "values",
]
# fmt: on
