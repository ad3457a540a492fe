"""What all optimizers share: parameter groups, rates and schedules, weight decay, non-finite gradients, saving.

The methods are in `methods.py`, each its hyperparameters and its equation, nothing else. An optimizer needs no more
of a parameter than `data` and `grad`, and knows nothing of networks and training.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from inspect import Parameter, Signature
from math import inf, isfinite, nan
from types import SimpleNamespace
from typing import Any, ClassVar, TypedDict, Unpack

from ..engine import modes
from ..engine.chain_rule import Added, Read, Used
from ..engine.primitive import as_float
from ..engine.value import Value
from ..schedules import parts_with
from ..state import ANY, load_all, read_at, within
from ..transforms.trees import shown

Parameters = Iterable[Value] | Iterable[Mapping[str, Any]]
Rate = Callable[[int], float]  # a schedule: from the number of steps made to the rate of the next
State = tuple[float, ...]


class Hyperparameters(TypedDict, total=False):
    """Every hyperparameter that some method has."""

    momentum: float
    dampening: float
    nesterov: bool
    weight_decay: float
    decoupled_weight_decay: bool
    lr_decay: float
    initial_accumulator_value: float
    eps: float
    alpha: float
    centered: bool
    rho: float
    betas: tuple[float, float]
    amsgrad: bool
    momentum_decay: float


# Those that lie in [0, 1); all other numbers lie in [0, inf).
_BELOW_ONE = ("alpha", "rho", "betas", "dampening")


class NonFiniteGradientError(ArithmeticError):
    """A parameter's gradient, or the step that it leads to, is inf or nan.

    `position` counts through all groups; `gradient` is that parameter's.
    """

    def __init__(self, message: str, position: int = -1, gradient: float = nan) -> None:
        super().__init__(message)
        self.position = position
        self.gradient = gradient


class Optimizer:
    """The base of all optimizers. A method, or one of your own, is a subclass: `defaults`, `state_names` and a `rule`.

    - `params`: a list of parameters (leaf `Value`s), or of groups: dicts with their `"params"` and any hyperparameters
      of their own, such as `"lr"`.
    - `lr`: a rate, or a schedule: a function of the number of steps made so far, as those in `scalargrad.schedules`.
    - `on_nonfinite`: what a step does where a gradient is inf or nan, or would make its parameter or a moment so.
      `"raise"` raises `NonFiniteGradientError`; `"skip"` leaves the whole step out, and counts it in `skipped`; both
      leave every parameter and every moment as they were. `"apply"` computes with it.

    Raises, naming the position: `TypeError` for a parameter that is not a `Value`, `ValueError` for one that is not a
    leaf or that stands twice. Raises `ValueError` for a hyperparameter out of its range, `TypeError` for an unknown
    one.

    `groups` is the list of groups, with every hyperparameter filled in, and may be changed between steps. `steps`
    counts the steps made.

    >>> class SignDescent(Optimizer):
    ...     defaults = {"lr": 0.1}
    ...     @staticmethod
    ...     def rule(w, g, t, s, h):
    ...         return w - h.lr * ((g > 0) - (g < 0)), s
    >>> w = Value(1.0); (5.0 * w).backward(); optimizer = SignDescent([w])
    >>> optimizer.step(); w.data
    0.9
    """

    defaults: ClassVar[dict[str, Any]] = {}
    state_names: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def rule(w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        """Compute a new parameter and a new state from `w`, its gradient, its step `t = 1, 2, ...`, its state, and `h`.

        A pure function, of floats or of `Value`s, with the hyperparameters as attributes of `h`. Weight decay is done
        around it, by `update`.
        """
        raise NotImplementedError

    @classmethod
    def start(cls, h: Any) -> State:
        """The state of a parameter before its first step: zeros, unless the method says otherwise."""
        return (0.0,) * len(cls.state_names)

    def __init_subclass__(cls) -> None:
        """Show a method's own hyperparameters and defaults where a signature is looked up."""
        super().__init_subclass__()
        named = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", "params")]
        for name, default in {**cls.defaults, "on_nonfinite": "raise"}.items():
            kind = Parameter.POSITIONAL_OR_KEYWORD if name == "lr" else Parameter.KEYWORD_ONLY
            named.append(Parameter(name, kind, default=default))
        cls.__signature__ = Signature(named[1:])  # type: ignore[attr-defined]  # read by inspect.signature

    def __init__(
        self,
        params: Parameters,
        lr: float | Rate | None = None,
        *,
        on_nonfinite: str = "raise",
        **hyperparameters: Unpack[Hyperparameters],
    ) -> None:
        if on_nonfinite not in ("raise", "skip", "apply"):
            raise ValueError(f'{self._kind}: on_nonfinite must be "raise", "skip" or "apply", got {on_nonfinite!r}')
        if "lr" not in self.defaults:
            raise TypeError(f"{self._kind}: a method needs `defaults` with a rate, lr; Optimizer itself is none")
        given = dict(hyperparameters) if lr is None else {"lr": lr, **hyperparameters}
        self.on_nonfinite = on_nonfinite
        self.steps = self.skipped = 0
        self.groups: list[dict[str, Any]] = []
        self._defaults = self._checked({**self.defaults, **given})
        self._state: dict[Value, tuple[int, State]] = {}
        items = listed(self._kind, params)
        grouped = any(isinstance(item, Mapping) for item in items)
        for item in items if grouped else [{"params": items}]:
            self._add(item, grouped)

    @property
    def _kind(self) -> str:
        return type(self).__name__

    def add_group(self, group: Mapping[str, Any]) -> None:
        """Take in another group: a dict with `"params"` and some hyperparameters; the rest are the defaults."""
        self._add(group, True)

    def _add(self, group: Any, named: bool) -> None:
        number = len(self.groups)
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f'{self._kind}: group {number} must be a dict with "params", got {type(group).__name__}')
        own = {name: value for name, value in group.items() if name != "params"}
        params = listed(f"{self._kind}, group {number}" if named else self._kind, group["params"])
        known = {w: f"parameter {k} of group {i}" for i, g in enumerate(self.groups) for k, w in enumerate(g["params"])}
        for k, w in enumerate(params):
            place = f"parameter {k} of group {number}" if named else f"parameter {k}"
            check_leaf(self._kind, place, w)
            if w in known:
                raise ValueError(f"{self._kind}: {place}{_quoted(w)} is {known[w]} already; give each one once")
            known[w] = place
        self.groups.append({"params": tuple(params), **self._checked({**self._defaults, **own})})

    def _checked(self, h: Mapping[str, Any]) -> dict[str, Any]:
        """Hyperparameters as floats, pairs, flags and schedules; an error for one that is unknown or out of range."""
        checked, kind = {}, self._kind
        for name, value in h.items():
            if name not in self.defaults:
                raise TypeError(f"{kind}: no hyperparameter {name!r}; it has {', '.join(self.defaults)}")
            what, like = f"{kind}, {name}", self.defaults[name]
            below = 1.0 if name in _BELOW_ONE else inf
            if isinstance(like, bool):
                if not isinstance(value, bool):
                    raise TypeError(f"{what}: expected True or False, got {shown(value)}")
            elif isinstance(like, tuple):
                if not isinstance(value, Sequence) or len(value) != len(like):
                    raise ValueError(f"{what}: expected {len(like)} numbers, got {shown(value)}")
                value = tuple(_in_range(what, x, below) for x in value)
            elif not (type(value) is float and 0.0 <= value < below) and not (name == "lr" and callable(value)):
                value = _in_range(what, value, below)
            checked[name] = value
        return checked

    def _rate(self, group: Mapping[str, Any]) -> float:
        rate = group["lr"]
        if callable(rate):
            rate = _in_range(f"{self._kind}, {rate!r} at step {self.steps}", rate(self.steps), inf)
        return float(rate)

    @property
    def rates(self) -> list[float]:
        """The rate of the next step, for each group."""
        return [self._rate(group) for group in self.groups]

    @property
    def lr(self) -> float:
        """The rate of the next step: of the first group, where they differ.

        Setting it, to a number or a schedule, sets it for every group. Where they have different ones, which would be
        lost, that raises `ValueError`; set `groups[i]["lr"]` there.
        """
        return self._rate(self.groups[0])

    @lr.setter
    def lr(self, rate: float | Rate) -> None:
        checked = self._checked({"lr": rate})
        present = [group["lr"] for group in self.groups]
        if any(each != present[0] for each in present):
            raise ValueError(f'{self._kind}: the groups have rates of their own, {present}; set groups[i]["lr"]')
        for group in self.groups:
            group.update(checked)

    @classmethod
    def update(cls, w: float, g: float, t: int, s: State, h: Any) -> tuple[float, State]:
        """One step of one parameter: the rule, on a gradient or a parameter changed by weight decay.

        `weight_decay w` is added to `g` or, decoupled from the gradient, `w` becomes `w (1 - lr weight_decay)`.
        """
        if getattr(h, "weight_decay", 0.0) != 0.0:
            if getattr(h, "decoupled_weight_decay", False):
                w = w * (1.0 - h.lr * h.weight_decay)
            else:
                g = g + h.weight_decay * w
        return cls.rule(w, g, t, s, h)

    def step(self) -> None:
        """Move every parameter by its gradient.

        A parameter that no backward pass has reached stays as it is, its state too. Where that is every one, the call
        of `backward()` is missing: `RuntimeError`. After an error nothing has changed. Where the second step meets
        gradients that were added to the first one's, it says once, by a warning, that `zero_grad()` is missing.
        """
        if modes.active and (tracer := modes.tracer()) is not None:
            tracer.refuse("an optimizer's step")
        moved, apply = [], self.on_nonfinite == "apply"
        for i, group in enumerate(self.groups):
            h = self._resolved(group)
            start, update = self.start(h), self._update(h)
            for k, w in enumerate(group["params"]):
                g = w._grad
                if type(g) is not float:
                    if not w.has_gradient:
                        continue
                    g = gradient(w)
                t, before = self._state.get(w, (0, start))
                data, s = update(w._data, g, t + 1, before, h) if apply or isfinite(g) else (g, before)
                if not (apply or (isfinite(data) and (all(map(isfinite, s)) or not all(map(isfinite, before))))):
                    if self.on_nonfinite == "skip":
                        self.skipped += 1
                        return
                    raise self._not_finite(i, k, w, g, data, s)
                moved.append((w, data, (t + 1, s)))
        if not moved:
            raise RuntimeError(f"{self._kind}: no parameter has a gradient: call backward() on a result before step()")
        marks = {type(w._grad) for w, _, _ in moved} if self.steps == 1 else set()
        if marks & {Added, Read} and marks <= {Used, Added, Read}:
            warnings.warn(
                f"{self._kind}: the gradients of this step were added to those of the step before, as backward() does: "
                "call zero_grad() before each backward()",
                stacklevel=2,
            )
        for w, data, known in moved:
            if type(data) is float:
                w._data = data
            else:
                w.data = data
            self._state[w] = known
            if self.steps < 2 and isinstance(w._grad, float):
                w._grad = float(w._grad) if self.steps else Used(w._grad)
        self.steps += 1

    def _update(self, h: Any) -> Callable[..., tuple[float, State]]:
        """What `update` comes to: the rule itself where nothing decays."""
        plain = type(self).update.__func__ is Optimizer.update.__func__  # type: ignore[attr-defined]  # a class method
        return self.rule if plain and getattr(h, "weight_decay", 0.0) == 0.0 else self.update

    def _not_finite(self, i: int, k: int, w: Value, g: float, data: float, s: State) -> NonFiniteGradientError:
        of = f"of parameter {k}{f' of group {i}' if len(self.groups) > 1 else ''}{_quoted(w)}"
        bad = [f"{name} = {x}" for name, x in zip(self.state_names, s, strict=True) if not isfinite(x)]
        to = bad[0] if isfinite(data) else data
        what = f"the step {of}, whose gradient is {g}, leads to {to}" if isfinite(g) else f"the gradient {of} is {g}"
        return NonFiniteGradientError(
            f"{self._kind}: {what} at step {self.steps}; nothing was changed. "
            'detect_anomaly() finds where it came from; on_nonfinite="skip" leaves such steps out',
            k + sum(len(each["params"]) for each in self.groups[:i]),
            g,
        )

    def _resolved(self, group: Mapping[str, Any]) -> SimpleNamespace:
        """A group's hyperparameters for the next step, with the rate that its schedule gives."""
        h = self._checked({name: value for name, value in group.items() if name != "params"})
        return SimpleNamespace(**{**h, "lr": self._rate(group)})

    def zero_grad(self) -> None:
        """Forget every parameter's gradient, so that the next `backward()` does not add to it."""
        for group in self.groups:
            for w in group["params"]:
                w.zero_grad()

    def moments(self, w: Value) -> dict[str, float]:
        """What the method remembers of a parameter, by the names in its equations, and the number `t` of its steps."""
        for group in self.groups:
            if any(w is each for each in group["params"]):  # `in` would compare values
                return self._moments(w, group)
        raise ValueError(f"{self._kind}: {w!r} is not one of its parameters")

    def _moments(self, w: Value, group: Mapping[str, Any]) -> dict[str, float]:
        t, s = self._state.get(w) or (0, self.start(SimpleNamespace(**group)))
        return {"t": t, **dict(zip(self.state_names, s, strict=True))}

    def state_dict(self) -> dict[str, Any]:
        """Return all but the parameters' values as plain data for JSON: moments, counters, hyperparameters.

        A schedule is not saved: give the same one again. The state of one that keeps state (`ReduceOnPlateau`), by
        itself or inside another, is in here. With the parameters' values, a later process goes on as if it had never
        stopped, bit for bit.
        """
        groups = []
        for group in self.groups:
            saved = {name: list(v) if isinstance(v, tuple) else v for name, v in group.items()}
            if callable(group["lr"]):
                parts = parts_with("state_dict", group["lr"])
                states = [part.state_dict() for part in parts]
                saved["lr"] = {"schedule": states[0] if parts == [group["lr"]] else states or None}
            saved["params"] = [{"label": w.label, **self._moments(w, group)} for w in group["params"]]
            groups.append(saved)
        return {"optimizer": self._kind, "steps": self.steps, "skipped": self.skipped, "groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict()` returned, from an optimizer of the same kind on as many parameters.

        Raises `ValueError` or `TypeError` where it does not fit, saying where, and leaves everything as it was.
        """
        with within(self._kind):
            self._load(state)

    def _load(self, state: Mapping[str, Any]) -> None:
        given = read_at("", state, {"optimizer": ANY, "steps": 0, "skipped": 0, "groups": [ANY] * len(self.groups)})
        if given["optimizer"] != self._kind:
            raise ValueError(f"this is the state of {shown(given['optimizer'])}")
        schedules: list[tuple[Any, Any]] = []
        hyperparameters, states = [], {}
        like_state = {"label": "", "t": 0, **dict.fromkeys(self.state_names, 0.0)}
        for i, (group, each) in enumerate(zip(self.groups, given["groups"], strict=True)):
            place = f"groups[{i}]"
            like = {**dict.fromkeys(group, ANY), "params": [like_state] * len(group["params"])}
            saved = read_at(place, each, like)
            h = {name: value for name, value in saved.items() if name != "params"}
            if isinstance(h["lr"], Mapping) != callable(group["lr"]):
                raise ValueError(
                    f"the rate at {place}['lr'] is {shown(h['lr'])}, here it is {group['lr']!r}; give what it had then"
                )
            if callable(group["lr"]):
                kept = read_at(f"{place}['lr']", h["lr"], {"schedule": ANY})["schedule"]
                schedules += _with_states(group["lr"], kept, f"{place}['lr']['schedule']")
                h["lr"] = group["lr"]
            with within(place):
                hyperparameters.append(self._checked(h))
            for k, (w, kept) in enumerate(zip(group["params"], saved["params"], strict=True)):
                label, t, *s = kept.values()
                if w.label and label and w.label != label:
                    at = f"{place}['params'][{k}]"
                    raise ValueError(f"the label at {at} is {shown(label)}, here it is {w.label!r}")
                states[w] = t, tuple(s)
        load_all([(schedule.state_dict, schedule.load_state_dict, kept) for schedule, kept in schedules])
        self.steps, self.skipped = given["steps"], given["skipped"]
        self._state = {w: known for w, known in states.items() if known[0] > 0}
        for group, h in zip(self.groups, hyperparameters, strict=True):
            group.update(h)

    def __repr__(self) -> str:
        count = sum(len(group["params"]) for group in self.groups)
        h = ", ".join(f"{name}={self.groups[0][name]!r}" for name in self.defaults)
        return f"{self._kind}({count} parameter{'s' * (count != 1)}, {h})"


def listed(what: str, params: Any) -> list[Any]:
    """An iterable of parameters as a list; `TypeError` for what has no order, `ValueError` for none."""
    if isinstance(params, (Value, Mapping, Set, str)) or not isinstance(params, Iterable):
        hint = "; a set has no order" if isinstance(params, Set) else ""
        if callable(params):
            hint = "; give its parameters()" if hasattr(params, "parameters") else "; call it"
        raise TypeError(f"{what}: expected a list of parameters, got {type(params).__name__}{hint}")
    found = list(params)
    if not found:
        raise ValueError(f"{what}: no parameters")
    return found


def check_leaf(what: str, place: str, w: Any) -> None:
    """Raise `TypeError` for what is not a `Value`, `ValueError` for what is not a leaf."""
    if not isinstance(w, Value):
        raise TypeError(f"{what}: {place} is not a Value but {type(w).__name__}: {w!r}")
    if not w.is_leaf:
        kind = "a constant" if w.is_constant else f"computed by {w.operation.name}"
        raise ValueError(f"{what}: {place}{_quoted(w)} is not a leaf but {kind}; use Value({w.data!r})")


def gradient(w: Value) -> float:
    """A parameter's gradient as a float, also after `backward(create_graph=True)`."""
    g = w._grad
    return as_float(g.data if isinstance(g, Value) else g, "grad")


def _quoted(w: Value) -> str:
    return f" ({w.label!r})" if w.label else ""


def _in_range(what: str, x: Any, below: float) -> float:
    number = as_float(x, what)
    if not 0.0 <= number < below:
        raise ValueError(f"{what}: must lie in [0, {below:g}), got {number!r}")
    return number


def _with_states(rate: Any, kept: Any, place: str) -> list[tuple[Any, Any]]:
    """What `state_dict` saved of schedules, each with the one that is to take it over."""
    parts = parts_with("load_state_dict", rate)
    if bool(parts) != (kept is not None):
        raise ValueError(f"the schedule's state at {place}, {shown(kept)}, does not belong to {rate!r}")
    states = [kept] if parts == [rate] else read_at(place, kept, [ANY] * len(parts)) if parts else []
    return list(zip(parts, states, strict=True))
