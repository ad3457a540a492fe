"""Tooltips: what a pointer that rests on a node or edge shows, every number in full."""

from ..common.text import clean
from .picture import Edge, Node


def node_tooltip(node: Node) -> str:
    """Everything about a node, numbers in full."""
    name = clean(node.label.strip()) or node.name
    if node.kind == "block":
        kinds = ", ".join(f"{count:,} {name}" for name, count in node.operations)
        spread = (
            f"\n|gradient| from {node.gradient_range[0]!r} to {node.gradient_range[1]!r}" if node.gradient_range else ""
        )
        return f"{name}: {node.formula} folded into one\n{kinds}{spread}"
    lines = [f"{name} = {node.formula}" if node.formula else f"{name}: {node.kind}"]
    lines.append(f"value {node.value!r}" if node.value is not None else node.says)
    if node.kind != "constant":
        lines.append(f"gradient {node.gradient!r}" if node.gradient is not None else "no gradient yet")
        lines += [
            f"via {p.consumer}: upstream {p.upstream!r} × local {p.local!r} = {p.contribution!r}"
            for p in node.paths[:30]
        ]
        if len(node.paths) > 30:
            lines.append(f"and {len(node.paths) - 30:,} more paths")
        if node.elsewhere is not None:
            lines.append(f"elsewhere: {node.elsewhere!r}, from earlier passes or from outside this graph")
    for part, x in node.parts:
        lines.append(f"{part} = {x!r}")
    for label, x, gradient in node.weights[:30]:
        lines.append(f"{label} = {x!r}" + ("" if gradient is None else f", gradient {gradient!r}"))
    if len(node.weights) > 30:
        lines.append(f"and {len(node.weights) - 30:,} more weights")
    if node.group:
        lines.append(f"in {clean(node.group)}")
    return "\n".join(lines)


def edge_tooltip(edge: Edge, source: str, target: str) -> str:
    """An edge's product, numbers in full."""
    if edge.says:
        return f"{source} → {target}: {edge.says}"
    if edge.merged > 1 or edge.local is None:
        spread = (
            f"\ncontributions from {edge.contributions[0]!r} to {edge.contributions[1]!r}" if edge.contributions else ""
        )
        return f"{source} → {target}: {edge.merged:,} edge{'s' * (edge.merged > 1)}{spread}"
    notation = f" = {edge.notation}" if edge.notation else ""
    head = f"{source} → {target}, operand {edge.slot + 1}\n"
    if edge.to_constant:
        return f"{head}local{notation} = {edge.local!r}; {source} is a constant"
    if edge.upstream is None:
        return f"{head}local{notation} = {edge.local!r}; no gradient yet"
    if edge.local != edge.local and edge.contribution == edge.contribution:  # of a body that was pulled back
        return f"{head}brings {edge.contribution!r}"
    return f"{head}upstream {edge.upstream!r} × local{notation} {edge.local!r} = {edge.contribution!r}"
