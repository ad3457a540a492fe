import json
import math
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalargrad import data
from scalargrad.data import Dataset, circle, digits, iris, lynx_hare

PLAYGROUND = json.loads(Path(__file__).with_name("reference").joinpath("playground.json").read_text())
PLANE_SETS = [data.circle, data.xor, data.gauss, data.spiral, data.moons]
ALL_SETS = [*PLANE_SETS, data.regression_plane, data.regression_gauss]


def samples(n, width=1):
    return Dataset([[float(k)] * width for k in range(n)], list(range(n)))


# ---- the sets of the plane -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAYGROUND["sets"])
@pytest.mark.parametrize("k", range(len(PLAYGROUND["noises"])))
def test_the_points_are_those_of_tensorflow_playground(name, k):
    made = getattr(data, name)(PLAYGROUND["samples"], PLAYGROUND["noises"][k], PLAYGROUND["seed"])
    expected = PLAYGROUND["sets"][name][k]
    assert len(made) == len(expected)
    for ((x, y), target), point in zip(made, expected, strict=True):
        assert (x, y, target) == pytest.approx(point, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("make", ALL_SETS)
def test_a_seed_decides_everything(make):
    assert make(40, 0.2, seed=3) == make(40, 0.2, seed=3)
    assert make(40, 0.2, seed=3) != make(40, 0.2, seed=4)


@pytest.mark.parametrize("make", ALL_SETS)
@pytest.mark.parametrize("n", [2, 3, 7, 50])
def test_there_are_as_many_samples_as_asked_for(make, n):
    assert len(make(n)) == n


@pytest.mark.parametrize("make", PLANE_SETS)
def test_labels_replace_the_classes_and_nothing_else(make):
    default, chosen = make(30, 0.1), make(30, 0.1, labels=(0, 1))
    assert default.inputs == chosen.inputs
    assert default.classes == (-1.0, 1.0)
    assert chosen.classes == (0, 1)
    assert [t > 0 for t in default.targets] == [t == 1 for t in chosen.targets]
    assert {True, False} == {t > 0 for t in default.targets}


def test_circle_lies_in_its_disc_and_ring():
    for (x, y), target in data.circle(300):
        r = math.hypot(x, y)
        assert r <= 2.5 if target > 0 else 3.5 <= r <= 5.0


def test_noise_changes_labels_but_not_points_of_circle_and_xor():
    for make in (data.circle, data.xor):
        clean, noisy = make(200, 0.0), make(200, 0.5)
        assert sorted(clean.inputs) == sorted(noisy.inputs)
        assert dict(zip(map(tuple, clean.inputs), clean.targets, strict=True)) != dict(
            zip(map(tuple, noisy.inputs), noisy.targets, strict=True)
        )


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_gauss_has_its_variance(noise):
    points = [x for (x, _), t in data.gauss(4000, noise) if t > 0]
    assert statistics.fmean(points) == pytest.approx(2.0, abs=0.2)
    assert statistics.pvariance(points) == pytest.approx(0.5 + 7 * noise, rel=0.1)


def test_moons_lie_on_their_circles_and_noise_is_a_standard_deviation():
    for (x, y), t in data.moons(60):
        assert math.hypot(x - (t > 0), y - 0.5 * (t > 0)) == pytest.approx(1.0)
        assert y <= 0.5 + 1e-12 if t > 0 else y >= -1e-12
    deviations = [math.hypot(x - (t > 0), y - 0.5 * (t > 0)) - 1.0 for (x, y), t in data.moons(4000, 0.05)]
    assert statistics.pstdev(deviations) == pytest.approx(0.05, rel=0.1)


def test_regression_gauss_at_its_peaks():
    made = data.regression_gauss(4000)
    for cx, cy, height in ((-4, 2.5, 1), (0, 2.5, -1), (4, 2.5, 1), (-4, -2.5, -1), (0, -2.5, 1), (4, -2.5, -1)):
        near = [(math.hypot(x - cx, y - cy), t) for (x, y), t in made if math.hypot(x - cx, y - cy) < 0.5]
        assert near
        for distance, target in near:
            assert target == pytest.approx(height * (1 - distance / 2))


@pytest.mark.parametrize("make", ALL_SETS)
def test_bad_arguments_of_the_sets(make):
    for n in (1, 0, -3, 2.5):
        with pytest.raises(ValueError, match="number of samples"):
            make(n)
    for noise in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="noise"):
            make(10, noise)
    with pytest.raises(TypeError, match="seed"):
        make(10, seed=None)


def test_labels_must_differ():
    with pytest.raises(ValueError, match="twice"):
        data.circle(labels=(1, 1))


# ---- real sets -------------------------------------------------------------------------------------------------------


def test_iris_is_fishers():
    flowers = iris()
    assert len(flowers) == 150
    assert [flowers.targets.count(c) for c in flowers.classes] == [50, 50, 50]
    # the published means and standard deviations (of the population)
    assert flowers.scaling().means == pytest.approx([876.5 / 150, 458.6 / 150, 563.7 / 150, 179.9 / 150])
    assert flowers.scaling().deviations == pytest.approx([0.82530129, 0.43441097, 1.75940407, 0.75969263])
    # the two flowers that are wrong in UCI's file
    assert flowers.inputs[34] == [4.9, 3.1, 1.5, 0.2]
    assert flowers.inputs[37] == [4.9, 3.6, 1.4, 0.1]
    assert flowers.feature_names[2] == "petal length (cm)"


def test_digits_are_the_test_part_of_ucis():
    images = digits()
    counts = [images.targets.count(c) for c in range(10)]
    assert counts == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # as documented by UCI
    pixels = [x for row in images.inputs for x in row]
    assert (min(pixels), max(pixels), sum(pixels)) == (0.0, 16.0, 561718.0)
    assert all(len(row) == 64 for row in images.inputs)


def test_pelts_rise_and_fall_in_ten_years_lynxes_after_hares():
    pelts = lynx_hare()
    assert [year for (year,) in pelts.inputs] == list(range(1900, 1921))
    hares, lynxes = zip(*pelts.targets, strict=True)
    assert (round(sum(hares), 1), round(sum(lynxes), 1)) == (715.7, 423.5)  # means 34.08 and 20.17

    def peaks(counts):
        return [1900 + k for k in range(1, 20) if counts[k - 1] < counts[k] > counts[k + 1] and counts[k] > 40]

    assert (peaks(hares), peaks(lynxes)) == ([1903, 1913], [1904, 1915])


def test_real_sets_are_fresh_every_time():
    lynx_hare().targets[0][0] = 99.0
    assert lynx_hare().targets[0][0] == 30.0
    first = iris()
    first.inputs[0][0] = 99.0
    assert iris().inputs[0][0] == 5.1


# ---- Dataset ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "no samples"),
        (([[1.0]], [1, 2]), "1 inputs but 2 targets"),
        (([[1.0], [1.0, 2.0]], [1, 2]), r"inputs\[0\] has 1 .* inputs\[1\] has 2"),
        (([[1.0]], [1], ("a", "b")), "2 feature names for 1"),
        (([[1.0]], [1], (), (0, 0)), "twice"),
        (([[1.0]], [5], (), (0, 1)), r"targets\[0\] is 5"),
        (([[1.0]], [1], (), (0, 1), ("a",)), "1 class names for 2"),
    ],
)
def test_bad_datasets(arguments, message):
    with pytest.raises(ValueError, match=message):
        Dataset(*arguments)


def test_an_input_that_is_no_number():
    with pytest.raises(TypeError, match=r"inputs\[1\]"):
        Dataset([[1.0], ["a"]], [0, 1])


def test_a_dataset_keeps_its_own_lists():
    rows = [[1.0], [2.0]]
    made = Dataset(rows, [0, 1])
    rows[0][0] = 9.0
    rows.append([3.0])
    assert made.inputs == [[1.0], [2.0]]


@given(n=st.integers(2, 60), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 99), stratify=st.booleans())
def test_a_split_is_a_partition_in_proportion(n, fraction, seed, stratify):
    whole = Dataset([[k] for k in range(n)], [k % 3 for k in range(n)], classes=(0, 1, 2))
    count = round(fraction * n)
    if not 0 < count < n:
        with pytest.raises(ValueError, match="leave a part of 0"):
            whole.split(fraction, seed, stratify)
        return
    first, second = whole.split(fraction, seed, stratify)
    assert len(first) == count
    assert sorted(first.inputs + second.inputs) == whole.inputs
    assert all(x[0] % 3 == t for part in (first, second) for x, t in part)
    assert (first, second) == whole.split(fraction, seed, stratify)
    if stratify:
        for c in whole.classes:
            assert abs(first.targets.count(c) - fraction * whole.targets.count(c)) < 1 + 1e-9


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 1.5, math.nan])
def test_bad_fractions(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        samples(10).split(fraction)


def test_a_regression_cannot_be_stratified_or_one_hot():
    plane = data.regression_plane(10)
    for call in (lambda: plane.split(0.5, stratify=True), plane.one_hot):
        with pytest.raises(ValueError, match="not classes"):
            call()


def test_standardise_uses_the_first_part_only():
    train, test = iris().split(0.7, seed=2)
    scaled, scaled_test = train.standardise(test)
    for column in zip(*scaled.inputs, strict=True):
        assert statistics.fmean(column) == pytest.approx(0.0, abs=1e-14)
        assert statistics.pstdev(column) == pytest.approx(1.0)
    scaling = train.scaling()
    assert scaled_test.inputs == [scaling(row) for row in test.inputs]
    assert scaling.invert(scaled_test.inputs[0]) == pytest.approx(test.inputs[0])
    assert scaled.targets == train.targets
    with pytest.raises(ValueError, match="fitted on 4"):
        scaling([1.0])


def test_a_constant_feature_becomes_zero():
    scaled, other = Dataset([[0.1, k] for k in range(10)], range(10)).standardise(Dataset([[1.1, 1]], [0]))
    assert [row[0] for row in scaled.inputs] == [0.0] * 10
    assert other.inputs[0][0] == pytest.approx(1.0)


def test_one_hot_keeps_the_width_of_all_classes():
    part = iris().take([149, 0])
    assert part.one_hot().targets == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert data.circle(30).one_hot().targets.count([0.0, 1.0]) == data.circle(30).targets.count(1.0)
    with pytest.raises(ValueError, match="lists already"):
        part.one_hot().one_hot()


@given(n=st.integers(1, 40), size=st.integers(1, 50), seed=st.none() | st.integers(0, 9), drop=st.booleans())
def test_batches_cover_the_data_once(n, size, seed, drop):
    whole = samples(n)
    if drop and size > n:
        with pytest.raises(ValueError, match="leaves nothing"):
            whole.batches(size, seed, drop)
        return
    parts = list(whole.batches(size, seed, drop))
    targets = [t for _, part in parts for t in part]
    assert all(len(inputs) == len(part) for inputs, part in parts)
    assert all(len(part) == size for _, part in (parts if drop else parts[:-1]))
    assert len(set(targets)) == len(targets) == (n - n % size if drop else n)
    assert all(x == [float(t)] for inputs, part in parts for x, t in zip(inputs, part, strict=True))
    if seed is None:
        assert targets == list(range(len(targets)))


def test_batches_are_shuffled_by_their_seed():
    whole = samples(50)
    orders = [[t for _, part in whole.batches(7, seed) for t in part] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] == whole.shuffled(1).targets


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_bad_batch_sizes(size):
    with pytest.raises(ValueError, match="at least 1"):
        samples(4).batches(size)


def test_shuffling_is_uniform():
    counts = dict.fromkeys(["012", "021", "102", "120", "201", "210"], 0)
    for seed in range(3000):
        counts["".join(map(str, samples(3).shuffled(seed).targets))] += 1
    assert all(400 < count < 600 for count in counts.values())  # 500, five standard deviations


def test_integers_of_numpy_are_sizes_seeds_and_classes():
    np = pytest.importorskip("numpy")
    n = np.int64(3)
    data = Dataset(np.arange(6.0).reshape(6, 1), np.array([0, 1, 2, 0, 1, 2]))
    plain = Dataset([[float(k)] for k in range(6)], [0, 1, 2, 0, 1, 2])
    assert data.one_hot().targets == plain.one_hot().targets
    assert data.split(0.5, seed=n, stratify=True)[0].inputs == plain.split(0.5, seed=3, stratify=True)[0].inputs
    assert [x for x, _ in data.batches(n, seed=n)] == [x for x, _ in plain.batches(3, seed=3)]
    assert circle(np.int64(10), seed=n).inputs == circle(10, seed=3).inputs
    with pytest.raises(ValueError, match="batches: the size must be a whole number of at least 1, got True"):
        data.batches(True)
