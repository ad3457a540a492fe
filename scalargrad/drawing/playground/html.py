"""Recordings and the parts of the page, put together into one file.

Numbers go to the page as the bytes of their doubles, so that the page computes with the very weights of the training.
"""

import json
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from struct import pack
from typing import Any, Self

from ...data.dataset import Dataset
from ..common.assets import as_json, opened, page, script
from ..common.drawing import a_text, file_for, one_of
from ..common.notebook import frame_html
from ..common.style import THEMES
from ..common.text import clean, shortened, xml
from . import lab
from .recording import Recording

_OWN = ("numbers", "paint", "training", "network", "plane", "chart", "table", "lab", "main")  # in this order
SCRIPTS = ("common/elements", "common/numbers", *(f"playground/{name}" for name in _OWN))
OF_TRAINING = ("playground/training", "playground/lab")  # which a page of recordings does without


class Playground:
    """A page that plays recorded trainings, and trains by itself: one HTML file, which asks nothing of any network.

    It shows, for the epoch that is chosen by slider, by keys or by playing: the decision over the plane with the points
    of training and test, the network with its weights as lines (width by size, colour and dash by sign) and every
    neuron's own map of the plane, the losses by epoch, and all of it as tables. A neuron that is pointed at or focused
    has its map shown large, and a point of the plane what every neuron gives there.

    - `recordings`: one `Recording`, or several to choose from; none, where the page trains.
    - `live`: whether a network can be trained in the page: data, features, shape and optimizer are chosen, each epoch
      is kept as a frame to go back to, weights can be pulled, and the backward pass of one sample be seen. The page
      then has the programs for it, 0.4 MB. Its weights are those of `fit`: see `playground.lab.prepared`.
    - `title`: printed above. `theme`: `"light"`, `"dark"`, or `"auto"`, as the reader's system is.

    Raises `TypeError` for what is no recording, `ValueError` for nothing to show and for an unknown theme.

    >>> from scalargrad.data import xor
    >>> from scalargrad.losses import mean_squared_error
    >>> from scalargrad.nn import MLP
    >>> points, model = xor(20), MLP(2, [3, 1], activation="tanh", output="tanh")
    >>> page = Playground(Recording(model, points, loss=mean_squared_error, name="xor"), title="Exclusive or")
    >>> page
    <Playground of xor>
    >>> page.html().startswith("<!doctype html>")
    True
    """

    def __init__(
        self,
        recordings: Recording | Iterable[Recording] = (),
        *,
        live: bool = False,
        title: str = "",
        theme: str = "auto",
    ) -> None:
        self.recordings = [recordings] if isinstance(recordings, Recording) else list(recordings)
        for k, each in enumerate(self.recordings):
            if not isinstance(each, Recording):
                raise TypeError(f"Playground: expected a Recording at position {k}, got {type(each).__name__}")
        if not isinstance(live, bool):
            raise TypeError(f"Playground: live takes True or False, got {type(live).__name__}")
        if not self.recordings and not live:
            raise ValueError("Playground: no recording is given; with live=True, the page trains by itself")
        self.live, self.title = live, a_text("Playground: title", title)
        self.theme = one_of("Playground: theme", theme, THEMES)

    def html(self) -> str:
        """The page as text."""
        programs, known = lab.programs() if self.live else ("", None)
        scripts = [name for name in SCRIPTS if self.live or name not in OF_TRAINING]
        return page(
            "playground/playground",
            script(scripts, f"{programs}\n{_activations(self.recordings, self.live)}"),
            self.theme,
            title=xml(clean(shortened(self.title, 200)) or "Playground"),
            summary=xml("; ".join(map(_summary, self.recordings)) + "." if self.recordings else ""),
            data=as_json([_data(recording) for recording in self.recordings]),
            lab=as_json(known),
        )

    def save(self, path: Any) -> Self:
        """Write the page to a file, whose suffix is .html, and return the playground.

        Raises `ValueError` for another suffix, `FileNotFoundError` for a folder that is not there.
        """
        file, form = file_for(path, {".html": Playground.html})
        file.write_text(form(self), encoding="utf-8")
        return self

    def show(self) -> Path:
        """Write the page to a temporary file and open it in the browser; return the file, which stays."""
        return opened(self.html(), "playground.html")

    def _repr_html_(self) -> str:
        """What a notebook shows: the page, in a frame of its own."""
        return frame_html(self.html(), self.title.strip() or "Playground", 840)

    def __repr__(self) -> str:
        names = [each.name or "a network" for each in self.recordings]
        return f"<Playground of {', '.join(['live training'] * self.live + names)}>"


def _activations(recordings: Iterable[Recording], live: bool) -> str:
    """A script with the recordings' activations, and those of the training in the page, by name."""
    found = {name: text for recording in recordings for name, text in recording.programs.items()}
    found |= lab.activations() if live else {}
    made = [f"{json.dumps(name)}: (() => {{\n{text}\nreturn activation;\n}})()" for name, text in found.items()]
    return f"const activations = {{{', '.join(made)}}};"


def _summary(recording: Recording) -> str:
    last = recording.snapshots[-1]
    data, loss, which = (
        (recording.train, last.train_loss, "training")
        if recording.test is None or last.test_loss is None
        else (recording.test, last.test_loss, "test")
    )
    wrong = recording.wrong(last, data)
    name = clean(shortened(recording.name, 80)) or "A network"
    return f"{name}: after epoch {last.epoch}, {which} loss {loss:.3g}, {wrong} of {len(data)} points wrong"


def _data(recording: Recording) -> dict[str, Any]:
    """A recording for the page's script."""
    shots, test = recording.snapshots, recording.test
    return {
        "name": clean(shortened(recording.name, 80)) or "Network",
        "note": clean(shortened(recording.note, 600)),
        "sizes": recording.sizes,
        "activations": recording.activations,
        "inputs": [clean(shortened(name, 12)) for name in recording.train.feature_names],
        "region": [*recording.region[0], *recording.region[1]],
        "threshold": recording.threshold,
        "scale": recording.scale,
        "epochs": [s.epoch for s in shots],
        "weights": _bytes(w for s in shots for w in s.weights),
        "trainLoss": _bytes(s.train_loss for s in shots),
        "testLoss": _bytes(s.test_loss for s in shots if s.test_loss is not None),
        "train": _points(recording.train),
        "test": "" if test is None else _points(test),
    }


def _points(data: Dataset) -> str:
    return _bytes(number for x, t in data for number in (*x, t))


def _bytes(numbers: Iterable[float]) -> str:
    """Doubles as text: their bytes, the lowest first, in base 64."""
    given = list(numbers)
    return b64encode(pack(f"<{len(given)}d", *given)).decode()
