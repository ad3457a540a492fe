"""Training: the loop over epochs and batches, its history, early stopping, progress, checkpoints, and metrics.

`fit.py` is where to start. `history.py` has an epoch and the checkpoint, `trainer.py` a batch's step, `objective.py`
its loss and gradient, on `Value`s; `compiled/` both of these as compiled programs.

>>> from scalargrad.data import iris
>>> from scalargrad.losses import cross_entropy
>>> from scalargrad.nn import MLP
>>> from scalargrad.optim import Adam
>>> train, test = iris().split(0.8, seed=1, stratify=True)
>>> train, test = train.standardise(test)
>>> model = MLP(4, [8, 3], activation="tanh")
>>> history = fit(model, train, cross_entropy, Adam(model.parameters(), lr=0.05), epochs=10, progress=False)
>>> evaluate(model, test, {"accuracy": accuracy})
{'accuracy': 0.9666666666666667}
"""

from .fit import Training, evaluate, fit
from .history import EarlyStopping, History
from .metrics import accuracy, confusion_matrix, r2_score

__all__ = ["EarlyStopping", "History", "Training", "accuracy", "confusion_matrix", "evaluate", "fit", "r2_score"]
__dir__ = __all__.copy
