import inspect
import json
import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalargrad import schedules as s

REFERENCE = json.loads(Path(__file__).with_name("reference").joinpath("pytorch.json").read_text())
LIKE_PYTORCH = {
    "Step": s.Step(0.1, every=7, factor=0.5),
    "MultiStep": s.MultiStep(0.1, [3, 10, 10, 25], factor=0.3),
    "Exponential": s.Exponential(0.1, 0.9),
    "InverseTime": s.InverseTime(0.1, decay=0.3),
    "Polynomial": s.Polynomial(0.1, steps=30, power=2.5),
    "Linear": s.Linear(0.025, 0.1, steps=8),
    "Cosine": s.Cosine(0.1, steps=30, final=0.01),
    "CosineRestarts": s.CosineRestarts(0.1, steps=7, final=0.01),
    "CosineRestarts, growth": s.CosineRestarts(0.1, steps=5, growth=3),
    "OneCycle": s.OneCycle(0.5, steps=50),
    "OneCycle, linear": s.OneCycle(0.5, steps=50, rise=0.4, shape="linear", divisor=10, final_divisor=100),
    "OneCycle, symmetric": s.OneCycle(0.5, steps=50, symmetric=True),
    "join": s.join([s.Linear(0.01, 0.1, steps=5), s.Exponential(0.1, 0.8), 0.05], [5, 12]),
}
ALL = [
    *LIKE_PYTORCH.values(),
    s.Constant(0.1),
    s.InverseTime(0.1, 0.5, power=0.5),
    s.warmup(s.Cosine(0.1, 20), 5),
    s.by_epoch(s.Step(0.1, 2), 10),
]


def test_every_schedule_of_pytorch_is_compared():
    assert set(LIKE_PYTORCH) == set(REFERENCE["rates"])


@pytest.mark.parametrize("name", LIKE_PYTORCH)
def test_rates_are_pytorchs(name):
    schedule, expected = LIKE_PYTORCH[name], REFERENCE["rates"][name]
    assert [schedule(t) for t in range(len(expected))] == pytest.approx(expected, rel=1e-12, abs=1e-17)


@pytest.mark.parametrize("k", range(len(REFERENCE["plateaus"])))
def test_reduce_on_plateau_does_as_pytorch(k):
    arguments = dict(REFERENCE["plateaus"][k]["arguments"])
    if "min_lr" in arguments:
        arguments["min_rate"] = arguments.pop("min_lr")
    schedule = s.ReduceOnPlateau(0.1, **arguments)
    expected = REFERENCE["plateaus"][k]["rates"]
    found = [schedule.observe(math.nan if metric is None else metric) for metric in REFERENCE["metrics"]]
    assert found == pytest.approx(expected, rel=1e-12)
    assert len(set(expected)) > 1


# ---- laws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_no_order_of_calls_can_shift_a_rate(schedule):
    forwards = [schedule(t) for t in range(60)]
    backwards = [schedule(t) for t in reversed(range(60))]
    assert forwards == backwards[::-1]
    assert all(type(rate) is float and 0.0 <= rate <= 0.5 for rate in forwards)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_schedules_are_immutable_comparable_and_can_be_pickled(schedule):
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert hash(schedule) == hash(pickle.loads(pickle.dumps(schedule)))
    with pytest.raises(AttributeError):
        schedule.rate = 1.0


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@pytest.mark.parametrize("t", [-1, -0.5, math.nan, math.inf])
def test_steps_count_from_zero(schedule, t):
    with pytest.raises(ValueError, match="steps count from 0"):
        schedule(t)


@given(t=st.integers(0, 10**6))
def test_schedules_with_an_end_stay_there(t):
    for schedule, end in (
        (s.Polynomial(0.1, 30, final=0.02), 0.02),
        (s.Linear(0.0, 0.1, 30), 0.1),
        (s.Cosine(0.1, 30, final=0.02), 0.02),
        (s.OneCycle(0.25, 30, divisor=5, final_divisor=10), 0.005),
    ):
        assert schedule(t + 30) == pytest.approx(end)


@given(steps=st.integers(1, 20), growth=st.integers(1, 4), cycles=st.integers(0, 6))
def test_restarts_begin_exactly_where_a_cycle_ends(steps, growth, cycles):
    schedule = s.CosineRestarts(0.1, steps, growth)
    begin = sum(steps * growth**k for k in range(cycles))
    assert schedule(begin) == 0.1
    length = steps * growth**cycles
    assert schedule(begin + length / 2) == pytest.approx(0.05)
    if length > 1:
        assert schedule(begin + length - 1) < 0.1


def test_joined_schedules_count_from_zero_at_their_boundary():
    asked = []
    joined = s.join([0.1, lambda t: asked.append(t) or 0.2, 0.3], [4, 6])
    assert [joined(t) for t in range(8)] == [0.1] * 4 + [0.2] * 2 + [0.3] * 2
    assert asked == [0, 1]


def test_warmup_rises_to_where_the_schedule_begins():
    schedule = s.warmup(s.Exponential(0.8, 0.5), steps=4, start=0.2)
    assert [schedule(t) for t in range(7)] == pytest.approx([0.2, 0.35, 0.5, 0.65, 0.8, 0.4, 0.2])


def test_by_epoch_hands_on_whole_epochs():
    asked = []
    schedule = s.by_epoch(lambda t: asked.append(t) or 0.1, 3)
    for t in range(7):
        schedule(t)
    assert asked == [0, 0, 0, 1, 1, 1, 2]
    assert all(type(t) is int for t in asked)


def test_a_rate_beyond_floats_is_inf():
    assert s.Step(1.0, 1, factor=10.0)(1000) == math.inf
    assert s.Exponential(1.0, 0.5)(5000) == 0.0


def test_one_cycle_has_its_peak_where_pytorch_has_it():
    schedule = s.OneCycle(1.0, steps=100, rise=0.3)
    assert schedule(29) == 1.0
    assert max(range(100), key=schedule) == 29
    symmetric = s.OneCycle(1.0, steps=100, rise=0.3, symmetric=True)
    assert symmetric(58) == pytest.approx(symmetric(0)) == pytest.approx(1 / 25)


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: s.Constant(-0.1), "rate must be a finite number of at least 0, got -0.1"),
        (lambda: s.Constant(math.nan), "rate"),
        (lambda: s.Constant(math.inf), "rate"),
        (lambda: s.Step(0.1, 0), "every must be a whole number"),
        (lambda: s.Step(0.1, 2.5), "every must be a whole number"),
        (lambda: s.Step(0.1, 5, factor=-1.0), "factor"),
        (lambda: s.MultiStep(0.1, [5, 3]), "in order, got 3 behind 5"),
        (lambda: s.MultiStep(0.1, [-1]), "at least 0"),
        (lambda: s.Exponential(0.1, 1.5), "factor must be a finite number between 0 and 1"),
        (lambda: s.InverseTime(0.1, -1.0), "decay"),
        (lambda: s.Polynomial(0.1, 0), "steps"),
        (lambda: s.Linear(0.1, -0.2, 5), "end"),
        (lambda: s.Cosine(0.1, 10, final=-1.0), "final"),
        (lambda: s.CosineRestarts(0.1, 10, growth=0), "growth"),
        (lambda: s.OneCycle(0.1, 100, rise=1.5), "rise"),
        (lambda: s.OneCycle(0.1, 3), "leave a phase without a step"),
        (lambda: s.OneCycle(0.1, 100, rise=0.6, symmetric=True), "leave a phase without a step"),
        (lambda: s.OneCycle(0.1, 100, shape="square"), "shape"),
        (lambda: s.join([0.1, 0.2], []), r"2 schedule\(s\) need 1 boundaries, got 0"),
        (lambda: s.join([], []), r"0 schedule\(s\)"),
        (lambda: s.join([0.1, 0.2, 0.3], [5, 2]), "in order"),
        (lambda: s.by_epoch(s.Constant(0.1), 0), "steps_per_epoch"),
        (lambda: s.ReduceOnPlateau(0.1, factor=1.0), "never reduce"),
        (lambda: s.ReduceOnPlateau(0.1, mode="best"), "mode"),
        (lambda: s.ReduceOnPlateau(0.1, threshold_mode="best"), "threshold_mode"),
        (lambda: s.ReduceOnPlateau(0.1, patience=-1), "patience"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_rate_that_is_no_number():
    with pytest.raises(TypeError, match="Constant, rate"):
        s.Constant("0.1")


# ---- plateau ---------------------------------------------------------------------------------------------------------


def test_standing_still_below_zero_is_no_improvement():
    schedule = s.ReduceOnPlateau(0.1, factor=0.5, patience=2)
    assert [schedule.observe(-1.0) for _ in range(4)] == [0.1, 0.1, 0.1, 0.05]


@given(
    metrics=st.lists(st.floats(allow_nan=True), max_size=30),
    cut=st.integers(0, 30),
    mode=st.sampled_from(["min", "max"]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
)
def test_a_plateau_saves_and_loads(metrics, cut, mode, threshold_mode):
    def make():
        return s.ReduceOnPlateau(0.1, 0.5, patience=1, cooldown=2, mode=mode, threshold_mode=threshold_mode)

    whole, first, second = make(), make(), make()
    expected = [whole.observe(m) for m in metrics]
    found = [first.observe(m) for m in metrics[:cut]]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    found += [second.observe(m) for m in metrics[cut:]]
    assert found == expected
    assert second.state_dict() == whole.state_dict()
    assert second(7) == whole.rate


@pytest.mark.parametrize(
    "change",
    [{"rate": -1.0}, {"best": math.nan}, {"bad_epochs": -1}, {"cooling": 0.5}, {"more": 1}, {"rate": math.inf}],
)
def test_a_bad_state_changes_nothing(change):
    schedule = s.ReduceOnPlateau(0.1)
    schedule.observe(1.0)
    before = schedule.state_dict()
    with pytest.raises(ValueError, match="ReduceOnPlateau"):
        schedule.load_state_dict({**before, **change})
    assert schedule.state_dict() == before


def test_every_public_schedule_is_tested():
    public = {
        name
        for name, each in vars(s).items()
        if inspect.isclass(each) and issubclass(each, s.Schedule) and each is not s.Schedule and name in s.__all__
    }
    assert public == {type(schedule).__name__ for schedule in ALL}


def test_integers_of_numpy_are_counts():
    np = pytest.importorskip("numpy")
    n = np.int64(10)
    assert s.Cosine(0.1, n) == s.Cosine(0.1, 10)
    assert type(s.Cosine(0.1, n).steps) is int
    assert s.warmup(0.1, n) == s.warmup(0.1, 10)
    assert s.join([0.1, 0.2], [n]) == s.join([0.1, 0.2], [10])
    assert s.MultiStep(0.1, np.array([3, 5])) == s.MultiStep(0.1, [3, 5])
    assert s.by_epoch(s.Constant(0.1), n) == s.by_epoch(s.Constant(0.1), 10)
    assert s.ReduceOnPlateau(0.1, patience=n, cooldown=np.uint8(1)).patience == 10
    for schedule in ALL:
        assert schedule(n) == schedule(10)
        assert type(schedule(n)) is float
    for wrong in (True, np.float64(10), 10.0, "10"):
        with pytest.raises(ValueError, match="Cosine: steps must be a whole number of at least 1, got"):
            s.Cosine(0.1, wrong)


class Holder:
    """An object that nobody calls."""

    def __init__(self, inner: s.Rate) -> None:
        self.inner = {"inner": [inner]}

    def rate(self, t: int) -> float:
        return float(self.inner["inner"][0](t))


def test_a_schedule_with_state_is_found_in_a_methods_object_and_in_a_functions_attributes() -> None:
    def of_attribute(t: int) -> float:
        return float(vars(of_attribute)["hidden_schedule"](t))

    plateau = s.ReduceOnPlateau(0.1)
    vars(of_attribute)["hidden_schedule"] = plateau
    for rate in (Holder(plateau).rate, s.warmup(Holder(plateau).rate, 2), of_attribute):
        assert s.parts_with("observe", rate) == [plateau]
