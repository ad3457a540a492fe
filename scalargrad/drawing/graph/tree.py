"""The picture as a tree of text, for terminals and wherever no layout engine is found.

A value that is used several times is shown once; elsewhere a mark points to it.
"""

from ..common.text import number
from .labels import DASH
from .picture import Node, Picture

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
