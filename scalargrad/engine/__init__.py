"""The engine: scalars that record what is done to them, and the chain rule. Readable in one sitting, in this order.

1. `primitive.py`: what an operation is (`Primitive`), and the one registry of all of them.
2. `ieee.py`: the arithmetic of operations on floats, total and following IEEE 754.
3. `table.py`: the operations, a row each: value, local gradients, notation, domain.
4. `value.py`: `Value`, a node of the graph, and its operators.
5. `chain_rule.py`: what an edge brings, and the passes over a graph, forward and back.
6. `transforms.py`: `grad`, `jvp`, `hessian` and their kin, functions of functions.
7. `modes.py`: `no_grad`, `detect_anomaly`, `group`; `anomaly.py`: what `detect_anomaly` looks at.
8. `trees.py`: nested lists, tuples and dicts of numbers; `pickling.py`: graphs in copies and pickles.

Everything else of the library stands on these files, and none of them imports anything else of it.
"""
