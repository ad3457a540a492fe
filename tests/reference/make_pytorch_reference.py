"""Write pytorch.json: the ways of PyTorch's optimizers on a few problems, and the rates of its schedules.

Run with PyTorch installed: `python make_pytorch_reference.py`. The tests read the file and need no PyTorch.
"""

import json
import warnings
from pathlib import Path

import torch
from problems import PROBLEMS

STEPS, EVERY = 200, 10
# A rate for each problem where the method needs one: (valley, rosenbrock, logistic).
GENTLE = (0.025, 2e-4, 0.5)
# The settings keep clear of limit cycles (as Adam's with betas of 0.8 and 0.9): they blow up the last bit.
SETTINGS = [  # our name, PyTorch's name, rate, the other arguments (the same in both), what PyTorch is told besides
    ("SGD", "SGD", GENTLE, {}, {}),
    ("SGD", "SGD", GENTLE, {"weight_decay": 0.1}, {}),
    ("SGD", "SGD", GENTLE, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01}, {}),
    ("SGD", "SGD", GENTLE, {"momentum": 0.8, "nesterov": True}, {}),
    ("Momentum", "SGD", GENTLE, {}, {"momentum": 0.9}),
    ("AdaGrad", "Adagrad", 0.1, {}, {}),
    (
        "AdaGrad",
        "Adagrad",
        0.3,
        {"lr_decay": 0.01, "weight_decay": 0.05, "initial_accumulator_value": 0.1, "eps": 1e-6},
        {},
    ),
    ("RMSProp", "RMSprop", 0.003, {}, {}),
    ("RMSProp", "RMSprop", 0.003, {"alpha": 0.9, "momentum": 0.5, "weight_decay": 0.01}, {}),
    ("RMSProp", "RMSprop", 0.001, {"centered": True, "eps": 1e-3}, {}),
    ("RMSProp", "RMSprop", 0.001, {"centered": True, "momentum": 0.9, "alpha": 0.95, "eps": 1e-3}, {}),
    ("AdaDelta", "Adadelta", 1.0, {}, {}),
    ("AdaDelta", "Adadelta", 0.5, {"rho": 0.95, "eps": 1e-4, "weight_decay": 0.1}, {}),
    ("Adam", "Adam", 0.02, {}, {}),
    ("Adam", "Adam", 0.03, {"betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1}, {}),
    ("Adam", "Adam", 0.02, {"amsgrad": True, "weight_decay": 0.01}, {}),
    ("AdamW", "AdamW", 0.02, {}, {}),
    ("AdamW", "AdamW", 0.05, {"betas": (0.9, 0.99), "weight_decay": 0.5, "amsgrad": True}, {}),
    ("AMSGrad", "Adam", 0.05, {"betas": (0.9, 0.9)}, {"amsgrad": True}),
    ("NAdam", "NAdam", 0.02, {}, {}),
    ("NAdam", "NAdam", 0.01, {"betas": (0.8, 0.99), "momentum_decay": 0.01, "eps": 1e-4, "weight_decay": 0.1}, {}),
    ("NAdam", "NAdam", 0.01, {"weight_decay": 0.3, "decoupled_weight_decay": True}, {}),
    ("RAdam", "RAdam", 0.02, {}, {}),
    ("RAdam", "RAdam", 0.01, {"betas": (0.8, 0.9), "eps": 1e-4, "weight_decay": 0.1}, {}),
    ("RAdam", "RAdam", 0.01, {"weight_decay": 0.3, "decoupled_weight_decay": True}, {}),
]


def way(optimizer, params, gradient):
    """Every tenth point of the way, the last one too."""
    points = []
    for step in range(1, STEPS + 1):
        for w, g in zip(params, gradient([w.item() for w in params]), strict=True):
            w.grad = torch.tensor(g)
        optimizer.step()
        if step % EVERY == 0:
            points.append([w.item() for w in params])
    return points


def parameters(start):
    return [torch.tensor(x, requires_grad=True) for x in start]


def ways():
    for ours, theirs, rate, arguments, besides in SETTINGS:
        for number, (problem, (gradient, start)) in enumerate(PROBLEMS.items()):
            lr = rate[number] if isinstance(rate, tuple) else rate
            params = parameters(start)
            optimizer = getattr(torch.optim, theirs)(params, lr=lr, **arguments, **besides)
            points = way(optimizer, params, gradient)
            yield {"optimizer": ours, "arguments": {"lr": lr, **arguments}, "problem": problem, "points": points}


def way_of_groups():
    """Two groups with rates and betas of their own."""
    gradient, start = PROBLEMS["rosenbrock"]
    x, y = parameters(start)
    optimizer = torch.optim.Adam([{"params": [x], "lr": 0.05}, {"params": [y], "betas": (0.8, 0.99)}], lr=0.01)
    return way(optimizer, [x, y], gradient)


def way_with_schedule():
    gradient, start = PROBLEMS["valley"]
    params = parameters(start)
    optimizer = torch.optim.SGD(params, lr=0.01, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    return way(optimizer, params, gradient)


def rates(make, count, lr=0.1):
    """The rates of the first steps, as PyTorch's optimizer has them."""
    optimizer = torch.optim.SGD(parameters([0.0]), lr=lr)
    schedule = make(optimizer)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def all_rates():
    s = torch.optim.lr_scheduler
    cycle = {"max_lr": 0.5, "total_steps": 50}
    return {
        "Step": rates(lambda o: s.StepLR(o, 7, gamma=0.5), 40),
        "MultiStep": rates(lambda o: s.MultiStepLR(o, [3, 10, 10, 25], gamma=0.3), 40),
        "Exponential": rates(lambda o: s.ExponentialLR(o, 0.9), 40),
        "InverseTime": rates(lambda o: s.LambdaLR(o, lambda t: 1 / (1 + 0.3 * t)), 40),
        "Polynomial": rates(lambda o: s.PolynomialLR(o, total_iters=30, power=2.5), 40),
        "Linear": rates(lambda o: s.LinearLR(o, start_factor=0.25, end_factor=1.0, total_iters=8), 20),
        "Cosine": rates(lambda o: s.CosineAnnealingLR(o, 30, eta_min=0.01), 31),
        "CosineRestarts": rates(lambda o: s.CosineAnnealingWarmRestarts(o, 7, eta_min=0.01), 40),
        "CosineRestarts, growth": rates(lambda o: s.CosineAnnealingWarmRestarts(o, 5, T_mult=3), 80),
        "OneCycle": rates(lambda o: s.OneCycleLR(o, **cycle), 49),
        "OneCycle, linear": rates(
            lambda o: s.OneCycleLR(
                o, **cycle, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100
            ),
            49,
        ),
        "OneCycle, symmetric": rates(lambda o: s.OneCycleLR(o, **cycle, three_phase=True), 49),
        "join": rates(
            lambda o: s.SequentialLR(
                o,
                [s.LinearLR(o, start_factor=0.1, total_iters=5), s.ExponentialLR(o, 0.8), s.ConstantLR(o, factor=0.5)],
                [5, 12],
            ),
            15,
        ),
    }


METRICS = [
    1.0,
    0.9,
    0.95,
    0.9,
    0.91,
    0.92,
    0.5,
    0.4999,
    0.49,
    0.49,
    0.49,
    float("nan"),
    0.49,
    0.48,
    0.49,
    0.5,
    0.5,
    0.5,
    0.5,
    0.2,
]
PLATEAUS = [
    {"factor": 0.5, "patience": 1},
    {"factor": 0.1, "patience": 2, "cooldown": 2, "min_lr": 0.005},
    {"factor": 0.5, "patience": 0, "threshold": 0.01, "threshold_mode": "abs"},
    {"factor": 0.5, "patience": 1, "threshold": 0.1, "mode": "max"},
    {"factor": 0.5, "patience": 1, "threshold": 0.1, "threshold_mode": "abs", "mode": "max"},
    {"factor": 0.1, "patience": 0, "eps": 1e-3},
]


def plateau(arguments):
    optimizer = torch.optim.SGD(parameters([0.0]), lr=0.1)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments)
    found = []
    for metric in METRICS:
        schedule.step(metric)
        found.append(optimizer.param_groups[0]["lr"])
    return {"arguments": arguments, "rates": found}


def main() -> None:
    torch.set_default_dtype(torch.float64)  # NAdam keeps a number in the default type
    warnings.simplefilter("ignore")  # stepping without a gradient, and SequentialLR's own use of PyTorch
    content = {
        "pytorch": torch.__version__,
        "every": EVERY,
        "ways": list(ways()),
        "groups": way_of_groups(),
        "schedule": way_with_schedule(),
        "rates": all_rates(),
        "metrics": [None if x != x else x for x in METRICS],
        "plateaus": [plateau(arguments) for arguments in PLATEAUS],
    }
    text = json.dumps(content).replace('{"optimizer"', '\n{"optimizer"')
    Path(__file__).with_name("pytorch.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
