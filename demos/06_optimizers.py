"""Chapter 6: optimizers.

Five ways to use the same gradients, down the same narrow valley: SGD, Momentum, AdaGrad, RMSProp and Adam.
"""

from lesson import begin, plot, show, tell

from scalargrad.optim import SGD, AdaGrad, Adam, Momentum, RMSProp
from scalargrad.plots import plot_paths, plot_rates, trajectory

begin(__doc__)

# ---- a narrow valley -------------------------------------------------------------------------------------------------

tell(
    """Losses of networks are long in some directions and steep in others. The smallest such landscape is a valley that
    falls gently along x, between walls that are fifty times as steep along y. Its lowest point is (0, 0); all five
    start at (-4, 1)."""
)
show("height = (x² + 50 y²) / 2          gradient g = (x, 50 y)")


def valley(x, y):
    return (x**2 + 50.0 * y**2) / 2.0


methods = {
    "SGD": lambda parameters: SGD(parameters, lr=0.036),
    "Momentum": lambda parameters: Momentum(parameters, lr=0.01, momentum=0.9),
    "AdaGrad": lambda parameters: AdaGrad(parameters, lr=0.1),
    "RMSProp": lambda parameters: RMSProp(parameters, lr=0.1, alpha=0.9),
    "Adam": lambda parameters: Adam(parameters, lr=0.1, betas=(0.9, 0.999)),
}
ways = {name: trajectory(method, valley, [-4.0, 1.0], 200) for name, method in methods.items()}
turns = {}  # how often y changes sides in the first 50 steps
print("    height after     10 steps   50 steps  100 steps  200 steps     crossings in 50 steps")
for name, way in ways.items():
    turns[name] = len([k for k in range(50) if way.points[k][1] * way.points[k + 1][1] < 0.0])
    print(f"    {name:<13}" + "".join(f"{way.values[k]:11.1e}" for k in (10, 50, 100, 200)) + f"{turns[name]:16}")
print()

# ---- SGD and Momentum ------------------------------------------------------------------------------------------------

show("""
SGD         w = w - lr g
Momentum    v = 0.9 v + g          w = w - lr v
""")
sgd = ways["SGD"].points
tell(
    """SGD zigzags. The gradient points at the nearest wall, hardly along the valley: at the start it is ({-4}, {50}).
    With a rate of 0.036 each step multiplies y by 1 - 0.036 × 50 = {-0.8}: it crosses the valley {50} times in 50
    steps. Above a rate of 2/50 = 0.04 y would grow. And x, where the slope is small, is multiplied by only {0.964}: the
    steep direction limits the rate, the flat one has to live with it.""",
    [*ways["SGD"].gradients[0], sgd[1][1] / sgd[0][1], turns["SGD"], sgd[1][0] / sgd[0][0]],
)
tell(
    """Momentum adds up past gradients, like a ball that rolls. Across the valley they cancel, along it they add, up to
    1/(1 - 0.9) = 10 times. With less than a third of SGD's rate it crosses {12} times, and after 100 steps it is at
    {2.6e-04} where SGD is at {5.2e-03}.""",
    [turns["Momentum"], ways["Momentum"].values[100], ways["SGD"].values[100]],
)

# ---- a rate for every parameter --------------------------------------------------------------------------------------

show("""
AdaGrad     G = G + g²                        w = w - lr g / (sqrt(G) + eps)
RMSProp     v = 0.9 v + 0.1 g²                w = w - lr g / (sqrt(v) + eps)
Adam        m = 0.9 m + 0.1 g                 w = w - lr m̂ / (sqrt(v̂) + eps)
            v = 0.999 v + 0.001 g²            with m̂, v̂: corrected for their start at 0
""")
tell(
    """These divide by the size of a parameter's own gradients, so that the steep direction no longer limits the flat
    one. What is left of the rate is the effective rate: how far a step went, over the gradient."""
)
steps = [1, 5, 20, 50, 100, 200]
print("    effective rate of x in step " + "".join(f"{k:8}" for k in steps))
for name in ("SGD", "AdaGrad", "RMSProp"):
    print(f"    {name:<28}" + "".join(f"{ways[name].rates[k - 1][0]:8.4f}" for k in steps))
print()
adagrad = ways["AdaGrad"]
tell(
    """AdaGrad does not zigzag ({0} crossings): its first step takes it by 0.1 along both, from (-4, 1) to ({-3.9},
    {0.9}), though the gradients are -4 and 50. But G only grows, and so the rate dies: it is {0.0250} at first,
    {0.0028} after 200 steps, and all these steps have brought it no further than x = {-1.71}.""",
    [turns["AdaGrad"], *adagrad.points[1], adagrad.rates[0][0], adagrad.rates[-1][0], adagrad.points[-1][0]],
)
slope = {name: trajectory(methods[name], lambda x: 1.0 * x, [0.0], 100).rates for name in methods}
tell(
    """It is clearest on an even slope, where every gradient is 1. AdaGrad's rate falls as 1/sqrt(t), from {0.1} to
    {0.01} after 100 steps. RMSProp forgets old gradients: its rate settles at {0.1000}, and where gradients shrink, as
    in the valley, it grows. Adam's stays at {0.1000} from the first step, thanks to the correction.""",
    [slope["AdaGrad"][0][0], slope["AdaGrad"][99][0], slope["RMSProp"][99][0], slope["Adam"][99][0]],
)
tell(
    """RMSProp therefore keeps going: {5.4e-03} after 50 steps, the lowest of the five. But near the bottom its steps
    stay about as long as its rate, however small the gradient; it hovers, and is at {6.3e-02} after 200. It wants a
    schedule.""",
    [ways["RMSProp"].values[50], ways["RMSProp"].values[200]],
)
quick = trajectory(lambda parameters: AdaGrad(parameters, lr=1.0), valley, [-4.0, 1.0], 200)
tell(
    """Adam has both, momentum and a rate for every parameter. It crosses {3} times, and comes down to {1.0e-08}. It
    asks for little tuning, and so it is the usual first choice; not because it would always win. In this valley
    Momentum comes as low ({9.0e-09}), and AdaGrad with a rate of 1 lower than all of them ({1.5e-28}), if one knows
    that rate.""",
    [turns["Adam"], ways["Adam"].values[200], ways["Momentum"].values[200], quick.values[200]],
)
plot("06_paths.png", plot_paths, valley, ways, title="Five optimizers, 200 steps each")
plot("06_rates.png", plot_rates, {name: ways[name] for name in ("SGD", "AdaGrad", "RMSProp")}, names=["x", "y"])
