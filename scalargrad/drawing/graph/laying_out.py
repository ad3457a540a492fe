"""Who lays a picture out: networks and recurrences are laid out here, other graphs by an engine."""

from .columns import lay_out_columns
from .dot import to_boxes
from .labels import Labels
from .layout import Layout, read_layout
from .layout_engines import find, run
from .picture import Picture


def lay_out(picture: Picture, labels: Labels, time_limit: float) -> Layout:
    """Lay the picture out. Raises `LayoutError` where that takes an engine, and none is found, or it fails."""
    if picture.is_layered and picture.direction in ("LR", "RL"):
        return lay_out_columns(picture, labels)
    engine = find()
    return read_layout(run(engine, to_boxes(picture, labels), "json0", time_limit), picture, engine.name)
