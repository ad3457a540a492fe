"""The engine: scalars that record what is done to them, and the chain rule. Readable in one sitting, in this order.

1. `primitive.py`: what an operation is (`Primitive`), and the one registry of all of them.
2. `table.py`: the rows of arithmetic: value, local gradients, notation, domain; `ieee.py`: their values on floats.
3. `value.py`: `Value`, a node of the graph, and its operators.
4. `chain_rule.py`: what an edge brings, and the passes over a graph, forward and back; `several.py`: operations with
   several outputs, and what a pass hands between them.
5. `modes.py`: `no_grad`, `detect_anomaly`, `group`; `anomaly.py`: what `detect_anomaly` looks at.
6. `pickling.py`: graphs in copies and pickles; `rendering.py`: who draws them.

Everything else of the library stands on these files, and none of them imports anything else of it. Derivatives as
functions of functions are in `transforms/`, the other functions in `functions/`.
"""
