"""Chapter 12: loops, roots and orbits.

A program that repeats itself need not be written out, nor need its derivative: a loop is one operation, and its
derivative is a loop that runs backwards. What an equation defines has derivatives without any loop at all.
"""

from math import pi
from time import perf_counter

from lesson import begin, picture, show, tell

from scalargrad import Value, compile, cond, grad, odeint, root, scan, sin, value_and_grad, while_loop  # noqa: A004

begin(__doc__)

# ---- a loop is one operation -----------------------------------------------------------------------------------------


def savings(rate, deposits):
    """What is saved in the end, and year by year: with interest, and a deposit at the end of the year."""
    return scan(lambda balance, deposit: (balance * (1.0 + rate) + deposit,) * 2, 0.0, deposits)


end, balances = savings(0.05, [100.0, 100.0, 100.0])
tell(
    """`scan` carries something along a list: here a balance along {3} deposits of 100, at a rate of 5 %. It returns the
    last balance, {315.25}, and one for every year, {100.00}, {205.00}, {315.25}. On plain numbers it is the loop that
    anybody would write.""",
    [len(balances), end, *balances],
)
rate = Value(0.05, label="rate")
end, _ = savings(rate, [100.0, 100.0, 100.0])
end.backward()
tell(
    """On a `Value`, the whole loop is one operation of the graph, with one more for each of its results. Its derivative
    carries the adjoint of the balance back, last year first, and adds up what the rate gets: {310.00}, which is
    100 (2 x 1.05) + 100.""",
    [rate.grad],
)
picture(end.draw(), "scan.svg")

# ---- as long as it takes ---------------------------------------------------------------------------------------------

STEP, STEPS = 1e-4, 100_000


def pendulum(angle):
    """The angle of a pendulum of one metre, ten seconds later, by Euler's and Cromer's method."""

    def step(state, _):
        speed = state[1] - STEP * 9.81 * sin(state[0])
        return (state[0] + STEP * speed, speed), None

    (angle, _), _ = scan(step, (angle, 0.0), length=STEPS)
    return angle


begun = perf_counter()
slope = compile(value_and_grad(pendulum))
angle, by_start = slope(0.5)
first, begun = perf_counter() - begun, perf_counter()
slope(0.5)
again = perf_counter() - begun
tell(
    """Compiled, the body is traced once, differentiated once and turned into code once, however often it runs: a
    pendulum that starts at 0.5 has come to {0.4179} after {100000} steps, and its derivative by the start is {0.304}.
    The number of steps is part of the program, which has the same size for all.""",
    [angle, STEPS, by_start],
)
show(f"first answer {first:.2f} s, then {1e3 * again:.1f} ms: {slope.info.traces[0].instructions} instructions")


def halvings(x):
    """How often x is halved until it is below one, and what is left."""
    return while_loop(lambda c: c[0] >= 1.0, lambda c: (c[0] / 2.0, c[1] + 1.0), (x, 0.0), max_steps=100)


left, count = halvings(1000.0)
rates = [grad(lambda x: cond(x <= 10.0, lambda x: 0.1 * x, lambda x: 0.25 * x - 1.5, x))(x) for x in (8.0, 30.0)]
tell(
    """`while_loop` runs while a condition holds: 1000 is below one after {10} halvings, at {0.9766}. Reverse mode keeps
    what is carried, and wants to know how many steps there may be at most; the derivative of what is left is
    {0.000977}, one half for every step. `cond` chooses between two functions, and runs one: a tax of 10 %, and of 25 %
    above 10, grows by {0.10} at 8 and by {0.25} at 30.""",
    [count, left, grad(lambda x: halvings(x)[0])(1000.0), *rates],
)

# ---- what an equation defines ----------------------------------------------------------------------------------------


def anomaly(mean, eccentricity):
    """Where a planet stands in its ellipse, by the time: Kepler's equation."""
    return root(lambda x, m, e: x - e * sin(x) - m, mean, mean, eccentricity)


show("x - e sin x = m        dx/dm = 1 / (1 - e cos x)")
by_mean = grad(anomaly)
tell(
    """Kepler's equation has no solution in closed form. `root` finds x by Newton's method: {1.2881} for m = 1, e = 0.3.
    Its derivative is not that of Newton's steps: where f(x, m) = 0, dx = -(df/dx)^-1 df/dm dm, whatever found x, at any
    order. So dx/dm is {1.0913}, d2x/dm2 is {-0.3745}; begun at the solution itself, where Newton takes no step at all,
    the same.""",
    [anomaly(1.0, 0.3), by_mean(1.0, 0.3), grad(by_mean)(1.0, 0.3)],
)

# ---- along an orbit --------------------------------------------------------------------------------------------------

TIMES = [2 * pi * k / 40 for k in range(41)]


def fall(state, t):
    x, y, u, v = state
    return [u, v, -x * (x * x + y * y) ** -1.5, -y * (x * x + y * y) ** -1.5]


def orbit(speed):
    """Around a sun of mass 1, from a distance of 1, straight ahead at some speed."""
    return odeint(fall, [1.0, 0.0, 0.0, speed], TIMES, rtol=1e-10, atol=1e-10)


last = compile(value_and_grad(lambda speed: orbit(speed)[-1][1]))
height, change = last(1.0)
tell(
    """`odeint` solves differential equations: Dormand's and Prince's method, with steps as long as the error allows. A
    speed of 1 makes a circle, which after 2 pi is back where it began: a height of {0.0000}. A speed greater by d is
    late, by 6 pi d, the derivative says: {-18.850}. That is Kepler's third law: the period grows with the power 3/2 of
    the axis, whose derivative by the speed is 2.""",
    [abs(height) + 0.0, change],
)
tell(
    """The derivative is that of the steps that were taken, or, with gradient="adjoint", the solution of another
    differential equation, backwards, in memory that does not grow with the steps: for exp, whose rate's derivative at
    1 is e, {2.71828}.""",
    [grad(lambda rate: odeint(lambda y, t, rate: rate * y, 1.0, [0.0, 1.0], rate, gradient="adjoint")[1])(1.0)],
)
