"""What README says of peers, as far as it can be run: `python -m tests.features` runs those that are installed.

Each check is of some entries of its table: it returns where they hold, and raises where they do not. What no program
can show (what a package is made for, what its documentation promises) is marked in the table as read.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

X = 0.5
THIRD = -math.cos(X)  # of sin


def refuses(f: Callable[[], object]) -> None:
    try:
        f()
    except Exception:  # whatever the peer raises
        return
    raise AssertionError("it was not refused")


def close(a: object, b: float) -> None:
    assert abs(float(a) - b) <= 1e-12 * abs(b), (a, b)


def micrograd_first_derivatives_alone() -> None:
    from micrograd.engine import Value

    x = Value(3.0)
    (x * x).backward()
    assert type(x.grad) is float  # which no graph leads on from


def autograd_arrays_and_third_derivatives() -> None:
    import autograd
    import autograd.numpy as np

    assert autograd.grad(lambda x: np.sum(x * x))(np.ones(3)).shape == (3,)
    close(autograd.grad(autograd.grad(autograd.grad(np.sin)))(X), THIRD)
    assert not any("compile" in name or "jit" in name for name in dir(autograd))


def torch_third_derivatives() -> None:
    import torch

    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    y = torch.sin(x)
    for _ in range(3):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
    close(y.item(), THIRD)
    y = torch.autograd.functional.jacobian(lambda v: v[1:] * v[:-1], torch.ones(5))
    assert not y.is_sparse


def torch_compiles_branches_with_guards_to_other_bits() -> None:
    import torch

    f = torch.compile(lambda x: x * 2 if x.sum() > 0 else x * 3)
    assert (f(torch.tensor(1.0)), f(torch.tensor(-1.0))) == (2.0, -3.0)
    xs = torch.linspace(-3.0, 3.0, 1000, dtype=torch.float64)
    g = lambda x: torch.tanh(x) * torch.exp(x) + torch.sin(x)  # noqa: E731
    assert not torch.equal(g(xs), torch.compile(g)(xs))


def jax_third_derivatives_and_solvers() -> None:
    import jax
    import jax.scipy.optimize
    import jax.scipy.sparse.linalg

    jax.config.update("jax_enable_x64", True)
    close(jax.grad(jax.grad(jax.grad(jax.numpy.sin)))(X), THIRD)
    close(jax.scipy.sparse.linalg.cg(lambda v: 2 * v, jax.numpy.ones(3))[0][0], 0.5)


def jax_compiles_branches_as_cond_alone_to_other_bits() -> None:
    import jax
    import jax.numpy as np

    jax.config.update("jax_enable_x64", True)
    refuses(lambda: jax.jit(lambda x: x * 2 if x > 0 else x * 3)(1.0))
    assert jax.jit(lambda x: jax.lax.cond(x > 0, lambda: x * 2, lambda: x * 3))(1.0) == 2.0
    xs = np.linspace(-3.0, 3.0, 1000)
    f = lambda x: np.tanh(x) * np.exp(x) + np.sin(x) * x - x / 3  # noqa: E731
    assert not (f(xs) == jax.jit(f)(xs)).all()


def casadi_sparse_any_order_c_and_a_solver() -> None:
    import casadi

    x, v = casadi.SX.sym("x"), casadi.SX.sym("v", 5)
    y = casadi.sin(x)
    for _ in range(3):
        y = casadi.gradient(y, x)
    close(casadi.Function("f", [x], [y])(X), THIRD)
    assert casadi.jacobian(v[1:] * v[:-1], v).sparsity().nnz() == 8
    quiet = {"print_time": 0, "ipopt.print_level": 0, "ipopt.sb": "yes"}
    close(casadi.nlpsol("s", "ipopt", {"x": x, "f": (x - 1) ** 2}, quiet)(x0=0.0)["x"], 1.0)
    code = casadi.CodeGenerator("f")
    code.add(casadi.Function("f", [x], [y]))
    assert "casadi_real" in code.dump()


def casadi_branches_by_if_else_alone() -> None:
    import casadi

    x = casadi.SX.sym("x")
    refuses(lambda: bool(x > 0))
    assert casadi.Function("f", [x], [casadi.if_else(x > 0, 2 * x, 3 * x)])(1.0) == 2.0


def xad_in_python_first_derivatives_alone() -> None:
    import xad
    import xad.adj_1st as adjoint
    import xad.math

    with adjoint.Tape() as tape:
        x = adjoint.Real(X)
        tape.registerInput(x)
        tape.newRecording()
        y = xad.math.sin(x) if x > 0 else x
        tape.registerOutput(y)
        y.derivative = 1.0
        tape.computeAdjoints()
        close(x.derivative, math.cos(X))
    assert {name for name in dir(xad._xad) if not name.startswith("_")} <= {"adj_1st", "fwd_1st", "math", "exceptions"}


def main() -> int:
    failed = 0
    for name, check in list(globals().items()):
        peer = name.partition("_")[0]
        if peer not in ("micrograd", "autograd", "torch", "jax", "casadi", "xad") or not callable(check):
            continue
        try:
            installed = version(peer)
        except PackageNotFoundError:
            print(f"{peer}: not installed")
            continue
        try:
            check()
            said = "holds"
        except Exception as error:  # one check does not end the others
            said, failed = f"does not hold: {type(error).__name__}: {error}", failed + 1
        print(f"{peer} {installed}: {name.partition('_')[2].replace('_', ' ')}: {said}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
