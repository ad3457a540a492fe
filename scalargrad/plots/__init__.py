"""Plots: functions with their derivatives, fits, training, optimizers at work, decision boundaries, confusion
matrices, gradients by layer.

Two halves. `sample`, `trajectory`, `decision_grid` and `gradients_by_layer` return plain numbers, which any library can
draw, and need nothing but this package. The functions that begin with `plot_` draw them with matplotlib, which is
imported when the first of them is called (`pip install matplotlib`).

>>> sample(lambda x: x ** 3, -1.0, 1.0, 3)
Samples(x=[-1.0, 0.0, 1.0], y=[-1.0, 0.0, 1.0], slope=[3.0, 0.0, 3.0])
"""

from .curves import plot_fit, plot_function, plot_gradients, plot_history, plot_rates
from .numbers import Grid, LayerGradient, Samples, Trajectory, decision_grid, gradients_by_layer, sample, trajectory
from .planes import plot_confusion, plot_decision, plot_paths

__all__ = [
    "Grid", "LayerGradient", "Samples", "Trajectory", "decision_grid", "gradients_by_layer", "plot_confusion",
    "plot_decision", "plot_fit", "plot_function", "plot_gradients", "plot_history", "plot_paths", "plot_rates",
    "sample", "trajectory",
]  # fmt: skip
__dir__ = __all__.copy
