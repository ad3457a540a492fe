"""The picture in words: as a tree of text, for terminals and wherever no layout engine is found, and in tooltips.

A value that is used several times is shown once; elsewhere a mark points to it.
"""

from ..common.text import clean, number
from .labels import DASH
from .picture import Edge, Node, Picture

LINES, DEPTH = 200, 40


def to_text(picture: Picture) -> str:
    """The tree, root first; at most 200 lines, 40 levels deep."""
    nodes = {n.id: n for n in picture.nodes}
    operands: dict[str, list[str]] = {}
    for e in picture.edges:
        if not e.says:
            operands.setdefault(e.target, []).append(e.source)
    sources = {e.source for e in picture.edges if not e.says}
    tops = [n.id for n in picture.nodes if n.is_root or n.id not in sources]
    lines = [picture.title] if picture.title else []
    seen: set[str] = set()
    stack = [(top, "", "", 0) for top in tops]
    while stack:
        key, lead, below, depth = stack.pop()
        if len(lines) >= LINES:
            lines.append(f"… {len(nodes) - len(seen):,} more")
            break
        node, parts = nodes[key], operands.get(key, [])
        again = key in seen and bool(parts)
        lines.append(lead + _line(node) + (" ↑ above" if again else " …" if depth >= DEPTH and parts else ""))
        if node.body is not None and node.is_unfolded and not again:
            lines += [f"{below}{'│' if parts else ' '}  {line}" for line in to_text(node.body).splitlines()]
        seen.add(key)
        if again or depth >= DEPTH:
            continue
        for k, part in reversed(list(enumerate(parts))):
            last = k == len(parts) - 1
            stack.append((part, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), depth + 1))
    return "\n".join([*lines, *picture.notes])


def _line(node: Node) -> str:
    if node.kind == "constant":
        return f"{node.name} = {number(node.value or 0.0)}" if node.label.strip() else node.name
    if node.kind == "block":
        low_high = DASH if node.gradient_range is None else " … ".join(map(number, node.gradient_range))
        return f"{node.name}: {node.formula}, {node.gradient_name} {low_high}"
    formula = f" = {node.formula}" if node.formula else ""
    gradient = DASH if node.gradient is None else number(node.gradient)
    value = f" = {number(node.value)}" if node.value is not None else f": {node.says}" if node.says else ""
    return f"{node.name}{formula}{value}   {node.gradient_name} = {gradient}"


# ---- tooltips: what a pointer that rests on a node or edge shows, every number in full -------------------------------


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
