"""Networks: modules that own parameters, and the multilayer perceptron with its layers, neurons and dropout.

`module.py` finds parameters in attributes, so that optimizers, losses and training see a module as a list of parameters
and a function; `layers.py` has the perceptron, `initialisation.py` where its weights begin.

>>> from scalargrad.nn import MLP
>>> model = MLP(2, [3, 1], activation="tanh")
>>> y = model([0.5, -1.0])
>>> y.backward()
>>> model.parameters()[0].label, len(model.parameters())
('θ1[1,1]', 13)
"""

from .initialisation import INITIALISATIONS, initialisation
from .layers import MLP, Dropout, Layer, Neuron
from .module import Module

__all__ = ["INITIALISATIONS", "MLP", "Dropout", "Layer", "Module", "Neuron", "initialisation"]
__dir__ = __all__.copy
