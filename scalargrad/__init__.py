"""Reverse-mode automatic differentiation on scalars.

The same code, seen, checked and run fast: a function written once on plain numbers runs on floats, on `Value`s, which
record what is done to them, and under `grad`.

>>> from scalargrad import Value, grad, tanh
>>> x = Value(1.0, label="x")
>>> y = x * tanh(x)
>>> y.backward()
>>> y.data, x.grad
(0.7615941559557649, 1.1815684975697909)
>>> grad(lambda x: x * tanh(x))(1.0)
1.1815684975697909

Values and derivatives
    Value                   a number that records what is done to it: data, grad, backward(), draw()
    grad, value_and_grad    the derivative of a function by its arguments; its value, too
    elementwise_grad        that of the sum of its results
    hessian, hvp, hessp     second derivatives; their product with a vector, two ways to ask for it
    jacobian, jvp, vjp      derivatives of several outputs; their products with a vector, from the right and the left
    scalargrad.numpy        NumPy, with an array that keeps to Values: import scalargrad.numpy as np
    no_grad                 compute without recording
    detect_anomaly          raise AnomalyError where a nan or an infinity first appears
    primitive, Primitive    an operation of your own, by its value and its local gradients
    register_pytree_node    a class of your own as what holds numbers, beside lists, dicts, dataclasses, arrays

Functions (a star import leaves out what is named as a builtin: abs, max, min, pow, round, sum and compile)
    exp, exp2, expm1, log, log2, log10, log1p, logsumexp    exponentials and logarithms
    pow, sqrt, cbrt, hypot                                  powers and roots
    sin, cos, tan, asin, acos, atan, atan2                  trigonometry
    sinh, cosh, tanh, asinh, acosh, atanh                   hyperbolic functions
    erf, erfc, sigmoid, softplus, relu                      error functions; the logistic function; rectifiers
    sum, mean, prod, dot                                    of a sequence, or of two
    max, min, clamp, where, abs, sign, step                 selections
    floor, ceil, round, mod, floordiv                       whole numbers and remainders

Loops and solutions, with derivatives of any order, which compile to loops
    scan, fori_loop         carry something along columns; a number of times
    while_loop              while a condition holds (LoopError where it holds too long)
    cond                    one of two functions
    root, fixed_point       solutions of equations; custom_root: what anybody's solver finds
    minimum                 where a function is least
    odeint                  solutions of differential equations
    custom_vjp, custom_jvp  a derivative of one's own; checkpoint: inner numbers computed again, not kept
    scalargrad.control      LoopError, checkpoint, cond, custom_jvp, custom_root, custom_vjp, fixed_point, fori_loop,
                            minimum, odeint, root, scan, while_loop

Networks
    scalargrad.nn           MLP, Layer, Neuron, Dropout, Module, initialisation, INITIALISATIONS
    scalargrad.activations  identity, relu, leaky_relu, elu, selu, gelu, silu, sigmoid, hardsigmoid, tanh, hardtanh,
                            softplus, softsign, softmax, log_softmax; activation finds one by its name
    scalargrad.losses       mean_squared_error, mean_absolute_error, huber, hinge, cross_entropy,
                            binary_cross_entropy, binary_cross_entropy_with_logits, categorical_cross_entropy,
                            negative_log_likelihood, kl_divergence

Training
    scalargrad.training     fit, evaluate, accuracy, confusion_matrix, r2_score, EarlyStopping, History, Training
    scalargrad.optim        SGD, Momentum, AdaGrad, AdaDelta, RMSProp, Adam, AdamW, AMSGrad, NAdam, RAdam, Optimizer,
                            clip_grad_norm, clip_grad_value, NonFiniteGradientError
    scalargrad.schedules    Constant, Step, MultiStep, Exponential, InverseTime, Polynomial, Linear, Cosine,
                            CosineRestarts, OneCycle, ReduceOnPlateau; warmup, join, by_epoch, which make Joined and
                            ByEpoch; Schedule, Rate
    scalargrad.data         Dataset, Scaling, Labels; iris, digits, lynx_hare, xor, circle, gauss, moons, spiral,
                            regression_plane, regression_gauss

Drawing
    draw, Drawing           the graph of a Value, as SVG, DOT, text, or a page that plays the backward pass
    group, name_values      a box around what is computed in a block; labels from the names of variables
    draw_network            a network by layer (NetworkDrawing)
    draw_change             what a training step changed
    scalargrad.drawing      these, and Playground, which plays the Recording of a training in a page
    scalargrad.plots        plot_function, plot_fit, plot_history, plot_rates, plot_paths, plot_decision,
                            plot_confusion, plot_gradients; their numbers alone: sample, trajectory, decision_grid,
                            gradients_by_layer, which give Samples, Trajectory, Grid, LayerGradient

Testing
    scalargrad.testing      check_grads, check_primitive, which give a Report of Findings (Finding, Verdict, State) or
                            raise GradientError, UndecidedError; measure_derivative, which gives a Measurement; for
                            hypothesis: finite_floats, number_arrays, values, expressions, array_expressions,
                            networks, datasets, which draw numbers, Value, Program, Network

Compiling
    compile                 machine code of a function, with the same bits; `to_c` and `to_js` give C and JavaScript
    scalargrad.compiler     compile, CompiledFunction, Buffered, PartialSum, BinnedSum, merge, TraceError,
                            GuardLimitError, WorkerLostError
"""

# ruff: noqa: F403, F405  # of the functions, which have an `__all__`
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import arrays as _arrays  # noqa: F401  # registers what NumPy asks for
from . import drawing as _drawing  # noqa: F401  # registers what draws
from .engine.anomaly import AnomalyError
from .engine.modes import detect_anomaly, group, no_grad
from .engine.primitive import Primitive
from .engine.value import Value
from .functions import *
from .functions.custom import primitive
from .transforms.derivatives import elementwise_grad, grad, hessian, hessp, hvp, jacobian, jvp, value_and_grad, vjp
from .transforms.trees import register_pytree_node
from .version import VERSION

if TYPE_CHECKING:
    from .compiler import compile as compile

    # fmt: off
    from .control import (  # isort: skip
        LoopError, checkpoint, cond, custom_jvp, custom_root, custom_vjp, fixed_point, fori_loop, minimum, odeint,
        root, scan, while_loop,
    )
    # fmt: on
    from .drawing import Drawing, draw, draw_change, draw_network, name_values

LATER = {"compile": "compiler"} | {
    name: room
    for room, names in (
        ("drawing", "Drawing draw draw_change draw_network name_values"),
        ("control", "LoopError checkpoint cond custom_jvp custom_root custom_vjp fixed_point fori_loop odeint root"),
        ("control", "minimum scan while_loop"),
    )
    for name in names.split()
}
ROOMS = (
    "activations", "compiler", "control", "data", "drawing", "losses", "nn", "optim", "plots", "schedules", "testing",
    "training",
)  # fmt: skip
BUILTINS = ("abs", "compile", "max", "min", "pow", "round", "sum")  # a star import leaves these names to Python
__version__ = VERSION


def __getattr__(name: str) -> Any:
    """Import a room of the library when it is first used: `scalargrad.nn`, `scalargrad.optim`, ..."""
    if name in ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in LATER:
        return getattr(import_module(f"{__name__}.{LATER[name]}"), name)
    hint = ""
    if not name.startswith("_"):
        homes = ("activations", "losses", "nn", "optim", "schedules", "data", "training")
        hint = "".join(f"; scalargrad.{x} has it" for x in homes if name in import_module(f"{__name__}.{x}").__all__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")


def __dir__() -> list[str]:
    return [*__all__, *BUILTINS, *ROOMS]


__all__ = [  # noqa: RUF022  # by name alone, as a reader looks them up
    "AnomalyError", "Drawing", "LoopError", "Primitive", "Value", "acos", "acosh", "asin", "asinh", "atan", "atan2",
    "atanh", "cbrt", "ceil", "checkpoint", "clamp", "cond", "cos", "cosh", "custom_jvp", "custom_root", "custom_vjp",
    "detect_anomaly", "dot", "draw", "draw_change", "draw_network", "elementwise_grad", "erf", "erfc", "exp", "exp2",
    "expm1", "fixed_point", "floor", "floordiv", "fori_loop", "grad", "group", "hessian", "hessp", "hvp", "hypot",
    "jacobian", "jvp", "log", "log10", "log1p", "log2", "logsumexp", "mean", "minimum", "mod", "name_values",
    "no_grad", "odeint", "primitive", "prod", "register_pytree_node", "relu", "root", "scan", "sigmoid", "sign", "sin",
    "sinh", "softplus", "sqrt", "step", "tan", "tanh", "value_and_grad", "vjp", "where", "while_loop",
]  # fmt: skip
