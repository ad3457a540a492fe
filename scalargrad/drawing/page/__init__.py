"""The step-through page: one HTML file without network, which plays both passes over the picture.

`html.py` puts it together from one picture, its steps (`data.py`) and the files in HTML, CSS and JavaScript
that stand beside the code.
"""

from .html import to_html

__all__ = ["to_html"]
