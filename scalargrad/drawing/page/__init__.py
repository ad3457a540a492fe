"""The step-through page: one HTML file without network, which plays both passes over the picture.

Apart from the rest of the drawing, because it is an application of its own: its parts in HTML, CSS and JavaScript stand
beside this file as they are, and here they are put together with one picture and its steps.
"""

from .html import show, to_html

__all__ = ["show", "to_html"]
