from .checking import Finding, GradientError, Report, UndecidedError, check_grads
from .verdicts import State, Verdict
