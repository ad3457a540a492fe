"""Chapter 9: real data.

Three kinds of iris, classified by four lengths of their flowers. Then handwritten digits: a network trained on images
that people wrote, tested on others, and written out as C for a device that has no Python.
"""

import ctypes
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from lesson import begin, c_compiler, plot, show, tell

from scalargrad import compile  # noqa: A004  # the library's own
from scalargrad.data import digits, iris
from scalargrad.losses import cross_entropy
from scalargrad.nn import MLP
from scalargrad.optim import Adam
from scalargrad.plots import plot_confusion, plot_history
from scalargrad.training import accuracy, confusion_matrix, fit

begin(__doc__)


def parts(data, fraction, seed):
    """Training and test part, each with the same share of every class, scaled by the training part alone."""
    training, test = data.split(fraction, seed=seed, stratify=True)
    return training.standardise(test)


def train(layers, training, test, rate, epochs, seed=0, compile="auto"):  # noqa: A002
    """A network, trained; and how that went."""
    model = MLP(len(training.feature_names), layers, activation="tanh", seed=seed)
    options = {"validation": test, "metrics": {"accuracy": accuracy}, "progress": False, "compile": compile}
    return model, fit(model, training, cross_entropy, Adam(model.parameters(), lr=rate), epochs, **options)


def matrix(model, test):
    return confusion_matrix([*map(model.frozen(), test.inputs)], test.targets)


def table(names, counts):
    width = max(map(len, names)) + 2
    rows = zip([" ", *names], [names, *counts], strict=True)
    show("\n".join(name.ljust(width) + "".join(f"{n or '.':>{width}}" for n in row) for name, row in rows))


# ---- Iris: E. Anderson's flowers, published by R. A. Fisher in 1936 --------------------------------------------------

flowers, rights = iris(), []
for seed in (0, 1, 2):
    training, test = parts(flowers, 0.7, seed)
    counts = matrix(train([8, 3], training, test, 0.02, 40)[0], test)
    rights.append(sum(counts[k][k] for k in range(3)))
    if seed == 0:
        table(flowers.class_names, counts)
tell(
    """{150} flowers of {3} kinds. A network 4-8-3, scores into softmax and cross-entropy, learns from {105} of them. Of
    the {45} others it classifies {44} correctly (a row is the true kind, a column the predicted one). Split otherwise,
    the same training gets {45} or {43} of them right: which flowers are held back decides as much as the network does.
    One number is not a result.""",
    [len(flowers), len(flowers.class_names), len(training), len(test), *rights],
)

# ---- digits ----------------------------------------------------------------------------------------------------------

training, test = parts(digits(), 0.8, 1)
pixels = ["  ..::--==++**##%%@@"[x // 2 * 2 : x // 2 * 2 + 2] for x in map(int, digits().inputs[3])]
show("\n".join("".join(pixels[k : k + 8]) for k in range(0, 64, 8)))
tell(
    """{1797} images of 8 by 8 pixels. A network 64-16-10 has {1210} weights, learns from {1438} images, and is tested
    on the other {359}.""",
    [len(digits()), len(MLP(64, [16, 10]).parameters()), len(training), len(test)],
)
model, history = train([16, 10], training, test, 0.01, 12, seed=1)
counts = matrix(model, test)
table([str(k) for k in range(10)], counts)
right = sum(counts[k][k] for k in range(10))
tell("After twelve epochs at least {95} % of them are classified correctly.", [min(100 * right // len(test), 95)])
print(f"Here: {right} of {len(test)}, after {sum(history.seconds):.2f} s of training.\n")
plot("09_digits.png", plot_confusion, counts, title="Digits: true class and predicted class")
plot("09_history.png", plot_history, history, log=True, title="Digits: cross-entropy by epoch")

# ---- the same bits ---------------------------------------------------------------------------------------------------

eager, slow = train([16, 10], training, test, 0.01, 2, seed=1, compile=False)
fast, quick = train([16, 10], training, test, 0.01, 2, seed=1, compile=True)
differ = sum(a.data != b.data for a, b in zip(eager.parameters(), fast.parameters(), strict=True))
tell(
    """`fit` has compiled network, loss and optimizer where it pays. Does that change what is learnt? Two epochs with
    compile=False, and two with compile=True, which end with {0} different weights of {1210}.""",
    [differ, len(eager.parameters())],
)
print(f"    an epoch on Values     {min(slow.seconds):8.3f} s")
print(f"    an epoch, compiled     {min(quick.seconds):8.3f} s, by {quick.compiled}")
print(f"    ratio                  {min(slow.seconds) / min(quick.seconds):8.1f}\n")

# ---- as C ------------------------------------------------------------------------------------------------------------

network = compile(model.frozen(), backend="python")
scores = [network(x) for x in test.inputs]
header, text = network.to_c("digits")
tell("A compiled function is a list of operations, and can be written in other languages. As C99, which needs math.h:")
show("\n".join(line for line in header.splitlines() if "digits(" in line))
compiler = c_compiler()
if compiler is None:
    tell("Without a C compiler here (cc, gcc or clang, of Linux or macOS), the C is not compiled and compared.")
else:
    with TemporaryDirectory() as folder:
        for name, content in (("digits.h", header), ("digits.c", text)):
            Path(folder, name).write_text(content)
        command = f"{compiler} -std=c99 -O2 -ffp-contract=off -shared -fPIC -o digits.so digits.c -lm"
        subprocess.run(command.split(), cwd=folder, check=True)
        in_c, y = ctypes.CDLL(str(Path(folder, "digits.so"))).digits, (ctypes.c_double * 10)()
    same = [in_c((ctypes.c_double * 64)(*x), y) == 0 and [*y] == z for x, z in zip(test.inputs, scores, strict=True)]
    show(command)
    tell(
        "Asked for {359} images, this library gives Python's scores, to the last bit, for {359}.",
        [len(same), sum(same)],
    )
