"""The command line: `scalargrad EXPRESSION name=value ...` and `scalargrad tour`.

`main.py` is where to start, `expression.py` the language of formulas, `terminal.py` what is printed where, `tour.py`
the chapters.
"""
