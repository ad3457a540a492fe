"""Chapter 11: a fit in SciPy's hands.

SciPy's solvers take derivatives as functions, and do better with good ones. Functions written in NumPy go in, arrays
come out. Here onions grow, and the numbers found are those that NIST, the United States' institute of standards,
certifies.
"""

from time import perf_counter

from lesson import begin, plot, show, tell

from scalargrad import compile, elementwise_grad, hessian, hessp, jacobian, value_and_grad  # noqa: A004
from scalargrad.plots import plot_fit

try:
    import numpy as np
    from scipy import integrate, optimize
except ImportError:
    np = None

begin(__doc__)
if np is None:
    print("left out: 11_onions.png, and all else, which needs SciPy (pip install scipy)\n")
    raise SystemExit

# ---- the problem -----------------------------------------------------------------------------------------------------

# Rat43 of NIST's Statistical Reference Datasets, after D. A. Ratkowsky, Nonlinear Regression Modeling (1983), page 88.
time = np.arange(1.0, 16.0)
weight = np.array(
    [16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92, 724.93, 699.56, 689.96, 637.56, 717.41]
)
starts = [100.0, 10.0, 1.0, 1.0], [700.0, 5.0, 0.75, 1.3]
certified = np.array([6.9964151270e02, 5.2771253025e00, 7.5962938329e-01, 1.2792483859e00])
deviations = np.array([1.6302297817e01, 2.0828735829e00, 1.9566123451e-01, 6.8761936385e-01])


def onions(t, b):
    """Ratkowsky's curve: their dry weight."""
    return b[0] / (1.0 + np.exp(b[1] - b[2] * t)) ** (1.0 / b[3])


def residuals(b):
    return onions(time, b) - weight


def digits(found, wanted):
    """How many digits are right in all of them."""
    return int(-np.log10(np.max(np.abs(found / wanted - 1.0))))


show("weight = b1 / (1 + exp(b2 - b3 time))^(1 / b4)")
tell(
    """Onions were dried and weighed at {15} times. Which curve of four numbers comes closest to their weights? NIST has
    27 such problems, this one of its higher level of difficulty, with two starts: one far away, one near.""",
    [len(time)],
)

# ---- least squares ---------------------------------------------------------------------------------------------------

run, slopes = compile(residuals), compile(jacobian(residuals))
tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
exact = [optimize.least_squares(run, b, jac=slopes, x_scale="jac", **tight) for b in starts]
rough = [optimize.least_squares(residuals, b, x_scale="jac", **tight) for b in starts]
right, without = (min(digits(each.x, certified) for each in found) for found in (exact, rough))
best = exact[1].x
assert right >= 8
inverse = np.linalg.inv(slopes(best).T @ slopes(best))
spread = np.sqrt(np.diag(inverse) * np.sum(run(best) ** 2) / (len(time) - 4))
tell(
    """`least_squares` asks for the Jacobian of the residuals, {15} by {4}: `compile(jacobian(residuals))`. From both
    starts it finds b = {699.64}, {5.277}, {0.7596}, {1.279}: eight digits or more of what NIST certifies. The standard
    deviations, from the same Jacobian, are {16.30}, {2.083}, {0.1957} and {0.6876}, and NIST's to six digits.""",
    [*slopes(best).shape, *best, *spread],
)
print(f"With differences of values, SciPy's own way if it is given no Jacobian, {without} digits are right.\n")
assert digits(spread, deviations) >= 6

# ---- one number to be made small -------------------------------------------------------------------------------------


def misfit(b):
    return np.sum(residuals(b) ** 2)


both, around = compile(value_and_grad(misfit)), starts[1]
ways = {
    "hess": optimize.minimize(both, around, jac=True, hess=compile(hessian(misfit)), method="trust-exact"),
    "hessp": optimize.minimize(both, around, jac=True, hessp=compile(hessp(misfit)), method="trust-ncg"),
}
tell(
    """`minimize` wants the sum of squares as one number, with its gradient: `jac=True` takes both from one function,
    and `compile(value_and_grad(misfit))` is such a one. For second derivatives there are `hessian`, whole, or `hessp`,
    times a vector. Both end at {8786.4}, the certified sum.""",
    [max(way.fun for way in ways.values())],
)
assert all(digits(way.x, certified) >= 5 for way in ways.values())

# ---- a root, and an integral -----------------------------------------------------------------------------------------

grow = elementwise_grad(onions)
faster = elementwise_grad(grow)
peak = optimize.newton(compile(faster), 6.0, fprime=compile(elementwise_grad(faster)), args=(best,))
tell(
    """When do they grow fastest? Where the curve's second derivative by time is zero: `newton` finds the root from the
    third, as a derivative may be differentiated again. It is at {6.62}; there they gain {122.5} in a unit of time.""",
    [peak, grow(peak, best)],
)
curve = compile(onions)
integrand = curve.low_level_callable(6.0, best)
began = perf_counter()
mean = integrate.quad(integrand, 1.0, 15.0, args=tuple(best))[0] / 14.0
took = perf_counter() - began
tell(
    """Their mean weight over that time is an integral. `quad` calls machine code directly, without Python in between,
    if it is given `curve.low_level_callable(...)`: {428.4}.""",
    [mean],
)
print(f"The integral took {1e6 * took:.0f} microseconds.\n")
fine = np.linspace(0.0, 16.0, 161)
curves = {"fitted": (fine.tolist(), onions(fine, best).tolist())}
measured = {"onions": (time.tolist(), weight.tolist())}
plot("11_onions.png", plot_fit, curves, measured, x="growing time", y="dry weight", title="Onions")
