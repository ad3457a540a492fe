"""Chapter 10: derivatives without a network.

A tax, hares and lynxes, the price of an option: functions of a few numbers, written as anybody would write them. Their
derivatives say what a small change does, and `compile` makes them fast.
"""

from math import pi
from time import perf_counter

from lesson import begin, plot, show, tell

from scalargrad import Value, compile, erfc, exp, hessian, log, sqrt, value_and_grad  # noqa: A004
from scalargrad.data import lynx_hare
from scalargrad.optim import Adam
from scalargrad.plots import plot_fit

begin(__doc__)

# ---- what compile does -----------------------------------------------------------------------------------------------


def tax(income):
    if income <= 10.0:
        return 0.1 * income
    return 1.0 + 0.25 * (income - 10.0)


marginal = compile(value_and_grad(tax))
paid = [marginal(float(income)) for income in range(1, 101)]
tell(
    """The derivative of a tax by the income is its marginal rate. `compile` runs the function once and records what it
    computes: operations without branches, which later calls replay. Which way a branch went is recorded, too, as a
    guard. Where an income fails a guard, the function runs again and gives another trace; it is never answered from the
    wrong one. {100} incomes, and {2} traces, as there are two ways through the function. An income of 8 pays {0.8} at
    a rate of {0.10}, one of 30 pays {6.0} at {0.25}. `info`, `source` and `to_c` show what there is now:""",
    [len(paid), len(marginal.info.traces), *paid[7], *paid[29]],
)
show(f"{marginal.info}\n\n{marginal.source}")
show("\n".join(marginal.to_c("tax")[1].partition("tax_trace0_0(")[2].splitlines()[2:7]))

# ---- hares and lynxes ------------------------------------------------------------------------------------------------

pelts = lynx_hare()
years, (hares, lynxes) = [year for (year,) in pelts.inputs], zip(*pelts.targets, strict=True)


def step(z, a, b, c, d, h=0.2):
    """Runge and Kutta's, of order four, a fifth of a year long."""
    ks = [(0.0, 0.0)]  # slopes: none yet, at the start, twice in the middle, at the end
    for part in (0.0, h / 2, h / 2, h):
        x, y = (u + part * k for u, k in zip(z, ks[-1], strict=True))
        ks.append((a * x - b * x * y, d * x * y - c * y))
    return [u + h / 6 * (ks[1][i] + 2 * ks[2][i] + 2 * ks[3][i] + ks[4][i]) for i, u in enumerate(z)]


def animals(logs):
    """Hares and lynxes, step by step, for the logarithms of a, b, c, d and of both in 1900."""
    numbers = [exp(x) for x in logs]
    found = [numbers[4:]]
    for _ in range(100):
        found.append(step(found[-1], *numbers[:4]))
    return found


def misfit(logs):
    """The mean square of what the logarithms are off."""
    pairs = zip(animals(logs)[::5], pelts.targets, strict=True)
    return sum(log(x / x0) ** 2 + log(y / y0) ** 2 for (x, y), (x0, y0) in pairs) / 42


show("hares' = a hares - b hares lynxes        lynxes' = d hares lynxes - c lynxes")
tell(
    """Lotka and Volterra's hares multiply and are eaten, their lynxes starve unless they eat. The Hudson's Bay Company
    counted pelts for {21} years, in thousands. Which a, b, c, d, and which numbers in 1900, come closest? A round takes
    ten years, so a and c are near 2 pi / 10; the means are c / d and a / b. From there Adam follows the gradient.""",
    [len(pelts)],
)
turn, means = pi / 5, (sum(hares) / 21, sum(lynxes) / 21)
guess = [turn, turn / means[1], turn, turn / means[0], hares[0], lynxes[0]]
parameters, slope = [Value(log(x)) for x in guess], compile(value_and_grad(misfit))
optimizer, began, before = Adam(parameters, lr=0.05), perf_counter(), misfit(map(log, guess))
for _ in range(400):
    error, gradient = slope([p.data for p in parameters])
    for p, g in zip(parameters, gradient, strict=True):
        p.grad = g
    optimizer.step()
logs, middle = [p.data for p in parameters], perf_counter()
eager, compiled = value_and_grad(misfit)(logs)[1], slope(logs)[1]
print(f"400 steps took {middle - began:.2f} s; one gradient on Values takes {perf_counter() - middle:.4f} s.\n")
tell(
    """The misfit falls from {0.474} to {0.048}. Found are a = {0.54}, b = {0.027}, c = {0.80}, d = {0.024}; Carpenter's
    study with Stan has 0.55, 0.028, 0.80, 0.024. Compiled or on Values: of the gradient's {6} numbers {0} differ.""",
    [before, error, *map(exp, logs[:4]), len(eager), sum(a != b for a, b in zip(eager, compiled, strict=True))],
)
times, (x, y) = [1900 + k / 5 for k in range(101)], zip(*animals(logs), strict=True)
curves, measured = {"hares": (times, x), "lynxes": (times, y)}, {"hares": (years, hares), "lynxes": (years, lynxes)}
plot("10_lynx_hare.png", plot_fit, curves, measured, x="year", y="thousands of pelts", title="Hares and lynxes")

# ---- the price of an option ------------------------------------------------------------------------------------------


def price(p):
    """Black and Scholes's, of a call at 100: by the stock, its volatility, the years left, the rate of interest."""
    s, v, t, r = p
    d = (log(s / 100) + (r + v * v / 2) * t) / (v * sqrt(t))
    return (s * erfc(-d / sqrt(2)) - 100 * exp(-r * t) * erfc((v * sqrt(t) - d) / sqrt(2))) / 2


def closed(s, v, t, r):
    """The textbook's derivatives: delta, vega, theta (with the sign of time left), rho, gamma."""
    d, e = (((log(s / 100) + r * t) / (v * sqrt(t)) + sign * v * sqrt(t) / 2) for sign in (1, -1))
    density, later = exp(-d * d / 2) / sqrt(2 * pi), 100 * exp(-r * t) * erfc(-e / sqrt(2)) / 2
    vega = s * density * sqrt(t)
    return [erfc(-d / sqrt(2)) / 2, vega, vega * v / (2 * t) + r * later, t * later, density / (s * v * sqrt(t))]


spots = [60.0 + k for k in range(81)]
market = [[s, 0.2, 1.0, 0.05] for s in spots]
values, greeks = compile(value_and_grad(price)).map(market)
gamma = compile(hessian(price)).map(market)[0][0]
pairs = zip(zip(*greeks, gamma, strict=True), market, strict=True)
far = sum(abs(a / b - 1) > 1e-11 for found, m in pairs for a, b in zip(found, closed(*m), strict=True))
at = spots.index(100.0)
tell(
    """What an option costs, by a formula of two lines; and how that changes, its Greeks: with the stock (delta), the
    volatility (vega), time (theta), interest (rho), and delta with the stock (gamma). `map` runs the compiled gradient
    and Hessian over {81} prices of the stock. At 100 the call costs {10.45}, with delta {0.637}, vega {37.5}, theta
    {6.41} a year of time left, rho {53.2} and gamma {0.0188}. Of {405} Greeks, {0} are further than a part in 10^11
    from the formulas of the textbook.""",
    [len(spots), values[at], *(each[at] for each in greeks), gamma[at], 5 * len(spots), far],
)
columns = zip(("delta", "vega", "theta", "rho", "gamma"), [*greeks, gamma], strict=True)
shares = {name: (spots, [x / max(column) for x in column]) for name, column in columns}
plot("10_greeks.png", plot_fit, shares, x="price of the stock", y="share of the largest", title="A call at 100")
