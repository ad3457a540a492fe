"""Data to learn from: points of the plane by formula, three small real sets, and what is done to data before training.

A `Dataset` is plain lists of numbers, because that is what the engine computes with.

The sets of the plane are TensorFlow Playground's (https://github.com/tensorflow/playground, `src/dataset.ts`): for the
same stream of random numbers they give the same points in the same order. A `noise` of 0 to 0.5 is what its slider
offers as 0 to 50. All randomness comes from a generator of its own, `random.Random(seed)`.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import chain
from math import cos, floor, fsum, isfinite, pi, sin, sqrt
from numbers import Real
from random import Random
from typing import Any

from ..engine.primitive import as_float
from ..notebooks import table_html
from ..state import seed_of, whole

__all__ = [
    "Dataset", "Labels", "Scaling", "circle", "digits", "gauss", "iris", "lynx_hare", "moons",
    "regression_gauss", "regression_plane", "spiral", "xor",
]  # fmt: skip
__dir__ = __all__.copy


def _shuffle(items: list[Any], random: Random) -> None:
    """Fisher and Yates's shuffle, from `random()` alone, the one method whose stream Python promises not to change."""
    for count in range(len(items), 0, -1):
        k = int(random.random() * count)
        items[k], items[count - 1] = items[count - 1], items[k]


def _random(seed: int) -> Random:
    return Random(seed_of("seed", seed, "an int, so that the result can be had again"))


@dataclass(frozen=True)
class Scaling:
    """The map `x -> (x - mean) / deviation` of each feature, and back.

    >>> scaling = Dataset([[1.0], [3.0]], [0, 1]).scaling()
    >>> scaling([5.0]), scaling.invert([3.0])
    ([3.0], [5.0])
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def _columns(self, row: Sequence[float]) -> Iterator[tuple[float, float, float]]:
        if len(row) != len(self.means):
            raise ValueError(f"Scaling: fitted on {len(self.means)} feature(s), got a sample of {len(row)}")
        return zip(row, self.means, self.deviations, strict=True)

    def __call__(self, row: Sequence[float]) -> list[float]:
        """Standardise one sample."""
        return [(x - mean) / deviation for x, mean, deviation in self._columns(row)]

    def invert(self, row: Sequence[float]) -> list[float]:
        """Undo it."""
        return [x * deviation + mean for x, mean, deviation in self._columns(row)]


@dataclass(frozen=True, repr=False)
class Dataset:
    """Samples: a list of inputs, each a list of floats, and as many targets.

    - `targets`: class values (numbers), real values, or lists of floats.
    - `feature_names`: one a column of the inputs; x1, x2, ... if not given.
    - `classes`: for a classification, every value that a target can have, in order; `class_names` their names.

    Raises `ValueError` for no samples at all, for inputs and targets of different number, rows of different length, and
    a target that is not among the classes; `TypeError` for an input that is not a number. A method leaves the data as
    they are and returns a new set.

    >>> data = Dataset([[1, 2], [3, 4], [5, 6], [7, 8]], [0, 1, 0, 1], classes=(0, 1))
    >>> data
    Dataset(4 samples, 2 features, 2 classes)
    >>> data[1], len(data), data.feature_names
    (([3.0, 4.0], 1), 4, ('x1', 'x2'))
    """

    inputs: list[list[float]]
    targets: list[Any]
    feature_names: tuple[str, ...] = ()
    classes: tuple[Any, ...] = ()
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rows = enumerate(self.inputs)
        inputs = [[x if type(x) is float else as_float(x, f"inputs[{i}]") for x in row] for i, row in rows]
        targets = list(self.targets)
        if len(inputs) != len(targets):
            raise ValueError(f"Dataset: {len(inputs)} inputs but {len(targets)} targets")
        if not inputs:
            raise ValueError("Dataset: no samples")
        width = len(inputs[0])
        for i, row in enumerate(inputs):
            if len(row) != width:
                raise ValueError(f"Dataset: inputs[0] has {width} feature(s) but inputs[{i}] has {len(row)}")
        features = tuple(self.feature_names) or tuple([f"x{k}" for k in range(1, width + 1)])
        classes, names = tuple(self.classes), tuple(self.class_names)
        if len(features) != width:
            raise ValueError(f"Dataset: {len(features)} feature names for {width} feature(s)")
        if len(set(classes)) != len(classes):
            raise ValueError(f"Dataset: a class stands twice in {classes}")
        if names and len(names) != len(classes):
            raise ValueError(f"Dataset: {len(names)} class names for {len(classes)} classes")
        if classes:
            for i, target in enumerate(targets):
                if not isinstance(target, list) and target not in classes:
                    raise ValueError(f"Dataset: targets[{i}] is {target!r}, which is not among the classes {classes}")
        vars(self).update(
            inputs=inputs, targets=targets, feature_names=features, classes=classes,
            class_names=names or tuple(map(str, classes)),
        )  # fmt: skip

    def __repr__(self) -> str:
        kind = f", {len(self.classes)} classes" if self.classes else ""
        return f"Dataset({len(self)} samples, {len(self.feature_names)} features{kind})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the first samples and the last, classes by name."""
        names = dict(zip(self.classes, self.class_names, strict=True))

        def row(k: int) -> list[Any]:
            x, t = self[k]
            return [k, *x, ", ".join([f"{each:.4g}" for each in t]) if isinstance(t, list) else names.get(t, t)]

        return table_html(repr(self), ["", *self.feature_names, "target"], len(self), row, 10)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, k: int) -> tuple[list[float], Any]:
        """The k-th sample: its input and its target."""
        return self.inputs[k], self.targets[k]

    def __iter__(self) -> Iterator[tuple[list[float], Any]]:
        return zip(self.inputs, self.targets, strict=True)

    def take(self, indices: Iterable[int]) -> Dataset:
        """Return the samples at these positions, in this order.

        >>> Dataset([[1], [2], [3]], [1, 4, 9]).take([2, 0]).targets
        [9, 1]
        """
        chosen = list(indices)
        return replace(self, inputs=[self.inputs[k] for k in chosen], targets=[self.targets[k] for k in chosen])

    def shuffled(self, seed: int = 0) -> Dataset:
        """Return the samples in random order.

        >>> Dataset([[1], [2], [3]], [1, 4, 9]).shuffled(seed=1).targets
        [9, 4, 1]
        """
        return self.take(self._order(seed))

    def _order(self, seed: int) -> list[int]:
        order = list(range(len(self.inputs)))
        _shuffle(order, _random(seed))
        return order

    def split(self, fraction: float, seed: int = 0, stratify: bool = False) -> tuple[Dataset, Dataset]:
        """Divide the samples at random: the first part has `round(fraction * n)` of them, the second the rest.

        With `stratify` every class is divided in this proportion, as near as whole samples allow (largest remainder).
        Raises `ValueError` for a fraction outside (0, 1) and where a part would be empty.

        >>> train, test = iris().split(0.8, seed=1, stratify=True)
        >>> len(train), len(test), test.targets.count(0)
        (120, 30, 10)
        """
        n = len(self)
        if not 0.0 < fraction < 1.0:
            raise ValueError(f"split: the fraction must lie between 0 and 1, both excluded, got {fraction}")
        count = round(fraction * n)
        if not 0 < count < n:
            raise ValueError(f"split: {fraction} of {n} sample(s) would leave a part of {min(count, n - count)}")
        order = self._order(seed)
        if stratify:
            chosen = set(self._stratified(order, fraction, count))
            order = [k for k in order if k in chosen] + [k for k in order if k not in chosen]
        return self.take(order[:count]), self.take(order[count:])

    def _stratified(self, order: Sequence[int], fraction: float, count: int) -> Iterable[int]:
        index, classes = self._index("split, stratify")
        members: list[list[int]] = [[] for _ in range(classes)]
        for k in order:
            members[index[k]].append(k)
        quotas = [floor(fraction * len(each)) for each in members]
        by_remainder = sorted(range(len(members)), key=lambda c: quotas[c] - fraction * len(members[c]))
        for c in by_remainder[: count - sum(quotas)]:
            quotas[c] += 1
        return chain.from_iterable(each[:quota] for each, quota in zip(members, quotas, strict=True))

    def scaling(self) -> Scaling:
        """Measure each feature's mean and standard deviation (of the population, `1/n`); a constant one is not scaled.

        >>> Dataset([[1, 7], [3, 7]], [0, 1]).scaling()
        Scaling(means=(2.0, 7.0), deviations=(1.0, 1.0))
        """
        n = len(self)
        means, deviations = [], []
        for column in zip(*self.inputs, strict=True):
            mean = fsum(column) / n
            # Told exactly: the rounding of the mean would otherwise be taken for a deviation and blown up to 1.
            constant = column.count(column[0]) == n
            means.append(column[0] if constant else mean)
            deviations.append(1.0 if constant else sqrt(fsum((x - mean) ** 2 for x in column) / n))
        return Scaling(tuple(means), tuple(deviations))

    def standardise(self, *others: Dataset) -> tuple[Dataset, ...]:
        """Scale every feature to mean 0 and deviation 1, measured here; apply the same to the others.

        Call it on the training part, so that the test part tells nothing about itself; `scaling()` is the map itself.

        >>> train, test = Dataset([[1], [3]], [0, 1]).standardise(Dataset([[5]], [1]))
        >>> train.inputs, test.inputs
        ([[-1.0], [1.0]], [[3.0]])
        """
        scaling = self.scaling()
        return tuple(replace(data, inputs=[scaling(row) for row in data.inputs]) for data in (self, *others))

    def _index(self, caller: str) -> tuple[list[int], int]:
        """The place of each target among the classes, and how many these are."""
        if any(isinstance(t, list) for t in self.targets) and self.classes:
            raise ValueError(f"{caller}: the targets are lists already, not classes")
        if not self.classes and not all(isinstance(t, Real) and t % 1 == 0 for t in self.targets):
            raise ValueError(f"{caller}: the targets are not classes; give Dataset(..., classes=...) if they are")
        position = {c: k for k, c in enumerate(self.classes or sorted(set(self.targets)))}
        return [position[t] for t in self.targets], len(position)

    def one_hot(self) -> Dataset:
        """Replace each target by a list with 1.0 at its class and 0.0 elsewhere, in the order of `classes`.

        Raises `ValueError` where the targets are not classes.

        >>> Dataset([[1], [2], [3]], [0, 2, 1]).one_hot().targets
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
        """
        index, width = self._index("one_hot")
        return replace(self, targets=[[1.0 if k == c else 0.0 for k in range(width)] for c in index])

    def batches(
        self, size: int, seed: int | None = None, drop_last: bool = False
    ) -> Iterator[tuple[list[list[float]], list[Any]]]:
        """Go through the data once, `size` samples at a time: pairs of inputs and targets.

        In random order with a seed (give another one every epoch), in their own without. The last batch may be smaller;
        `drop_last` leaves it out. Raises `ValueError` for a size below 1, and where nothing would be left.

        >>> [targets for _, targets in Dataset([[1], [2], [3]], [1, 4, 9]).batches(2)]
        [[1, 4], [9]]
        """
        n = len(self.inputs)
        size = whole("batches: the size", size)
        if drop_last and size > n:
            raise ValueError(f"batches: drop_last with batches of {size} leaves nothing of {n} sample(s)")
        order = list(range(n)) if seed is None else self._order(seed)
        parts = [order[k : k + size] for k in range(0, n - n % size if drop_last else n, size)]
        return (([self.inputs[k] for k in part], [self.targets[k] for k in part]) for part in parts)


# ---- sets of the plane, by formula -----------------------------------------------------------------------------------

Labels = tuple[float, float]


def _uniform(random: Random, low: float, high: float) -> float:
    return random.random() * (high - low) + low


def _normal(random: Random, mean: float, variance: float, functions: Any = math) -> float:
    """Marsaglia's polar method (Marsaglia and Bray, SIAM Review 6, 1964), one of its two numbers."""
    s = 2.0
    while s > 1.0 or s == 0.0:
        v1 = 2.0 * random.random() - 1.0
        v2 = 2.0 * random.random() - 1.0
        s = v1 * v1 + v2 * v2
    return mean + sqrt(variance) * (sqrt(-2.0 * functions.log(s) / s) * v1)


def _generator(name: str, samples: int, noise: float, seed: int) -> Random:
    whole(f"{name}: the number of samples", samples, least=2)
    if not (noise >= 0.0 and isfinite(noise)):
        raise ValueError(f"{name}: the noise must be a finite number of at least 0, got {noise!r}")
    return _random(seed)


def _halves(samples: int) -> tuple[int, int]:
    return samples - samples // 2, samples // 2


def _plane_set(points: list[tuple[float, float, float]], random: Random, labels: Labels | None = None) -> Dataset:
    """Shuffle the points `(x, y, target)`; with labels, the sign of the target tells the class."""
    _shuffle(points, random)
    inputs = [[x, y] for x, y, _ in points]
    if labels is None:
        return Dataset(inputs, [target for _, _, target in points])
    negative, positive = labels
    return Dataset(inputs, [positive if target > 0.0 else negative for _, _, target in points], classes=labels)


def circle(
    samples: int = 500, noise: float = 0.0, seed: int = 0, labels: Labels = (-1.0, 1.0), functions: Any = math
) -> Dataset:
    """Make Playground's circle: a disc of radius 2.5, positive, in a ring from 3.5 to 5, negative.

    A point's class is that after moving it by up to `5 noise` each way; the point itself stays, so that noise mixes the
    classes. `labels` are the targets of the negative and the positive class: `(0, 1)` for a sigmoid's output.
    `functions`: where sin, cos and log come from, `math` or another module, with the same bits on every machine, say.

    >>> circle(4, seed=1).targets, circle(4, seed=1, labels=(0, 1)).targets
    ([-1.0, 1.0, -1.0, 1.0], [0, 1, 0, 1])
    """
    random = _generator("circle", samples, noise, seed)
    radius = 5.0
    points = []
    for count, low, high in zip(_halves(samples), (0.0, 0.7 * radius), (0.5 * radius, radius), strict=True):
        for _ in range(count):
            r, angle = _uniform(random, low, high), _uniform(random, 0.0, 2.0 * pi)
            x, y = r * functions.sin(angle), r * functions.cos(angle)
            dx, dy = _uniform(random, -radius, radius) * noise, _uniform(random, -radius, radius) * noise
            points.append((x, y, 1.0 if sqrt((x + dx) ** 2 + (y + dy) ** 2) < 0.5 * radius else -1.0))
    return _plane_set(points, random, labels)


def xor(samples: int = 500, noise: float = 0.0, seed: int = 0, labels: Labels = (-1.0, 1.0)) -> Dataset:
    """Make Playground's exclusive or: positive where `x y >= 0`, in a square with a gap of 0.6 along the axes.

    A point's class is that after moving it by up to `5 noise` each way. `labels`: see `circle`.

    >>> all((x * y >= 0.0) == (t == 1.0) for (x, y), t in xor())
    True
    """
    random = _generator("xor", samples, noise, seed)
    points = []
    for _ in range(samples):
        x = _uniform(random, -5.0, 5.0)
        x += 0.3 if x > 0.0 else -0.3
        y = _uniform(random, -5.0, 5.0)
        y += 0.3 if y > 0.0 else -0.3
        dx, dy = _uniform(random, -5.0, 5.0) * noise, _uniform(random, -5.0, 5.0) * noise
        points.append((x, y, 1.0 if (x + dx) * (y + dy) >= 0.0 else -1.0))
    return _plane_set(points, random, labels)


def gauss(
    samples: int = 500, noise: float = 0.0, seed: int = 0, labels: Labels = (-1.0, 1.0), functions: Any = math
) -> Dataset:
    """Make Playground's two Gaussians: around (2, 2), positive, and (-2, -2), negative, of variance `0.5 + 7 noise`.

    `labels`, `functions`: see `circle`.

    >>> train, test = gauss(noise=0.1).split(0.5)
    >>> len(train), len(test)
    (250, 250)
    """
    random = _generator("gauss", samples, noise, seed)
    variance = 0.5 + 7.0 * noise
    points = []
    for count, centre, target in zip(_halves(samples), (2.0, -2.0), (1.0, -1.0), strict=True):
        for _ in range(count):
            points.append(
                (_normal(random, centre, variance, functions), _normal(random, centre, variance, functions), target)
            )
    return _plane_set(points, random, labels)


def spiral(
    samples: int = 500, noise: float = 0.0, seed: int = 0, labels: Labels = (-1.0, 1.0), functions: Any = math
) -> Dataset:
    """Make Playground's two spirals: radius 0 to 5 in 1.75 turns, the negative one half a turn behind.

    Noise moves a point by up to `noise` each way. `labels`, `functions`: see `circle`.

    >>> max((x * x + y * y) ** 0.5 for x, y in spiral().inputs)
    4.98
    """
    random = _generator("spiral", samples, noise, seed)
    n = samples / 2
    points = []
    for count, start, target in zip(_halves(samples), (0.0, pi), (1.0, -1.0), strict=True):
        for i in range(count):
            r, angle = i / n * 5.0, 1.75 * i / n * 2.0 * pi + start
            x = r * functions.sin(angle) + _uniform(random, -1.0, 1.0) * noise
            y = r * functions.cos(angle) + _uniform(random, -1.0, 1.0) * noise
            points.append((x, y, target))
    return _plane_set(points, random, labels)


def moons(samples: int = 500, noise: float = 0.0, seed: int = 0, labels: Labels = (-1.0, 1.0)) -> Dataset:
    """Make two half circles of radius 1 that reach into each other, as scikit-learn's `make_moons`.

    The negative one is the upper half of a circle around (0, 0), the positive one the lower half of one around
    (1, 0.5). Noise is the standard deviation of what is added to each coordinate. `labels`: see `circle`.

    >>> data = moons(4)
    >>> sorted((round(x, 9), round(y, 9), t) for (x, y), t in data)
    [(-1.0, 0.0, -1.0), (0.0, 0.5, 1.0), (1.0, 0.0, -1.0), (2.0, 0.5, 1.0)]
    """
    random = _generator("moons", samples, noise, seed)
    points = []
    for count, target in zip(_halves(samples), (-1.0, 1.0), strict=True):
        for i in range(count):
            angle = pi * i / (count - 1) if count > 1 else 0.0
            x, y = (cos(angle), sin(angle)) if target < 0.0 else (1.0 - cos(angle), 0.5 - sin(angle))
            points.append((x + _normal(random, 0.0, noise * noise), y + _normal(random, 0.0, noise * noise), target))
    return _plane_set(points, random, labels)


def _regression(name: str, value: Callable[[float, float], float], samples: int, noise: float, seed: int) -> Dataset:
    random = _generator(name, samples, noise, seed)
    points = []
    for _ in range(samples):
        x, y = _uniform(random, -6.0, 6.0), _uniform(random, -6.0, 6.0)
        dx, dy = _uniform(random, -6.0, 6.0) * noise, _uniform(random, -6.0, 6.0) * noise
        points.append((x, y, value(x + dx, y + dy)))
    return _plane_set(points, random)


def regression_plane(samples: int = 1200, noise: float = 0.0, seed: int = 0) -> Dataset:
    """Make Playground's plane: the target is `(x + y) / 10`, on a square of side 12.

    The target is taken at a place up to `6 noise` away each way.

    >>> max(abs(t - (x + y) / 10) for (x, y), t in regression_plane()) < 1e-15
    True
    """
    return _regression("regression_plane", lambda x, y: (x + y + 10.0) / 20.0 * 2.0 - 1.0, samples, noise, seed)


def regression_gauss(samples: int = 1200, noise: float = 0.0, seed: int = 0) -> Dataset:
    """Make Playground's six bumps, by turns 1 and -1 high: each falls linearly to 0 at a distance of 2 from its centre.

    Where two overlap, the higher one counts. The target is taken at a place up to `6 noise` away each way.

    >>> data = regression_gauss()
    >>> -1.0 <= min(data.targets) < -0.9 and 0.9 < max(data.targets) <= 1.0
    True
    """
    centres = (
        (-4.0, 2.5, 1.0), (0.0, 2.5, -1.0), (4.0, 2.5, 1.0), (-4.0, -2.5, -1.0), (0.0, -2.5, 1.0), (4.0, -2.5, -1.0),
    )  # fmt: skip

    def value(x: float, y: float) -> float:
        heights = [sign * max(0.0, 1.0 - sqrt((x - cx) ** 2 + (y - cy) ** 2) / 2.0) for cx, cy, sign in centres]
        return max(heights, key=abs) + 0.0  # + 0.0: from -0.0 to 0.0

    return _regression("regression_gauss", value, samples, noise, seed)


# ---- real sets, shipped with the package -----------------------------------------------------------------------------
# Sources, authors and licences of the files stand in files/README.md.


def _shipped(name: str) -> list[list[str]]:
    content = (files("scalargrad.data") / "files" / name).read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    return [line.split(",") for line in content.decode("ascii").splitlines()]


def iris() -> Dataset:
    """Read Fisher's irises: 150 flowers of three species; length and width of sepals and petals in centimetres.

    The targets are 0, 1, 2 for setosa, versicolor, virginica. The first class can be divided from the others by one
    straight cut, the other two overlap.

    Source: R. A. Fisher, "The use of multiple measurements in taxonomic problems", Annals of Eugenics 7 (1936); UCI
    Machine Learning Repository, CC BY 4.0.

    >>> data = iris()
    >>> data, data[0], data.class_names
    (Dataset(150 samples, 4 features, 3 classes), ([5.1, 3.5, 1.4, 0.2], 0), ('setosa', 'versicolor', 'virginica'))
    """
    header, *rows = _shipped("iris.csv")
    species = ("setosa", "versicolor", "virginica")
    targets = [species.index(row[-1]) for row in rows]
    return Dataset([[float(x) for x in row[:-1]] for row in rows], targets, tuple(header[:-1]), (0, 1, 2), species)


def digits() -> Dataset:
    """Read 1,797 handwritten digits: images of 8 by 8 pixels, row by row from the top left, 0 (white) to 16 (black).

    The targets are the digits. Divide the inputs by 16, or standardise them, before training.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (1998), the test part; UCI Machine
    Learning Repository, CC BY 4.0.

    >>> data = digits()
    >>> data, data.targets[:5], data.inputs[0][:8]
    (Dataset(1797 samples, 64 features, 10 classes), [0, 1, 2, 3, 4], [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0])
    """
    rows = _shipped("digits.csv.gz")
    names = tuple(f"pixel {row},{column}" for row in range(8) for column in range(8))
    classes = tuple(range(10))
    return Dataset([[float(x) for x in row[:-1]] for row in rows], [int(row[-1]) for row in rows], names, classes)


# The pelts of 1900 to 1920, hare and lynx by turns: few enough to stand here.
_PELTS = """
    30.0 4.0  47.2 6.1  70.2 9.8  77.4 35.2  36.3 59.4  20.6 41.7  18.1 19.0  21.4 13.0  22.0 8.3  25.4 9.1  27.1 7.4
    40.3 8.0  57.0 12.3  76.6 19.5  52.3 45.7  19.5 51.1  11.2 29.7  7.6 15.8  14.6 9.7  16.2 10.1  24.7 8.6
"""


def lynx_hare() -> Dataset:
    """Give the pelts of snowshoe hares and Canadian lynxes that the Hudson's Bay Company collected from 1900 to 1920.

    An input is a year, its target the thousands of pelts of hares and of lynxes: the example of predator and prey.

    Source: C. Elton and M. Nicholson, "The ten-year cycle in numbers of the lynx in Canada", Journal of Animal Ecology
    11 (1942), as given by P. Howard, "Modeling Basics" (2009), and used by B. Carpenter, "Predator-Prey Population
    Dynamics: the Lotka-Volterra model in Stan" (2018).

    >>> data = lynx_hare()
    >>> data, data[0]
    (Dataset(21 samples, 1 features), ([1900.0], [30.0, 4.0]))
    """
    pelts = [float(x) for x in _PELTS.split()]
    years = [[1900.0 + k] for k in range(len(pelts) // 2)]
    return Dataset(years, [pelts[k : k + 2] for k in range(0, len(pelts), 2)], ("year",))
