"""`python -m graphs.draw OUT.md|OUT.svg`: the picture of the compiled support graph, for the docs."""

import sys
from html import escape
from pathlib import Path
from typing import Any

from graphs.support.graph import build

_WIDTH, _HEIGHT, _COLUMN, _ROW, _MARGIN, _SWING = 110, 36, 150, 84, 24, 80
_PAGE = """\
# The support graph

Generated from the compiled graph by `python -m graphs.draw docs/graph.md`; do not edit. Dotted arrows are decisions.

```mermaid
{mermaid}
```
"""


def markdown() -> str:
    """A page with the graph as a Mermaid diagram."""
    return _PAGE.format(mermaid=build().get_graph().draw_mermaid().strip())


def svg() -> str:
    """The graph as a drawing: one row for each step away from the start, dashed lines for decisions."""
    drawn = build().get_graph()
    places = _places(drawn)
    width = max(x for x, _ in places.values()) + _WIDTH + _SWING + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    lines = [_line(places[edge.source], places[edge.target], edge.conditional) for edge in drawn.edges]
    boxes = [_box(place, name.strip("_")) for name, place in places.items()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
            ' font-size="14">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            '<path d="M0 0 8 4 0 8z" fill="#555"/></marker></defs>',
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def _places(drawn: Any) -> dict[str, tuple[int, int]]:
    """The corner of each node's box: the row is the longest way from the start, loops left out."""
    rows: dict[str, int] = {}

    def visit(name: str, row: int, trail: tuple[str, ...]) -> None:
        if name in trail:
            return
        rows[name] = max(row, rows.get(name, 0))
        for edge in drawn.edges:
            if edge.source == name:
                visit(edge.target, row + 1, (*trail, name))

    visit("__start__", 0, ())
    placed: dict[str, tuple[int, int]] = {}
    for name, row in sorted(rows.items(), key=lambda item: item[1]):
        column = sum(other == row for known, other in rows.items() if known in placed)
        placed[name] = (_MARGIN + column * _COLUMN, _MARGIN + row * _ROW)
    return placed


def _line(source: tuple[int, int], target: tuple[int, int], conditional: bool) -> str:
    """An arrow; one that goes up or skips a row swings out to the side, the further the longer it is."""
    style = ' stroke-dasharray="5 4"' if conditional else ""
    x1, y1, x2, y2 = source[0] + _WIDTH // 2, source[1] + _HEIGHT, target[0] + _WIDTH // 2, target[1]
    if y2 - y1 == _ROW - _HEIGHT:
        path = f"M{x1} {y1} L{x2} {y2}"
    else:
        x1, y1, x2, y2 = source[0] + _WIDTH, source[1] + _HEIGHT // 2, target[0] + _WIDTH, target[1] + _HEIGHT // 2
        bend = max(x1, x2) + 30 + abs(y2 - y1) // 6
        path = f"M{x1} {y1} C{bend} {y1} {bend} {y2} {x2} {y2}"
    return f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"{style}/>'


def _box(place: tuple[int, int], name: str) -> str:
    x, y = place
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#eef2ff" stroke="#4f5bd5"/>'
        f'<text x="{x + _WIDTH // 2}" y="{y + 23}" text-anchor="middle">{escape(name)}</text>'
    )


def main(arguments: list[str]) -> int:
    """Write the picture in the format its ending names; 2 if the arguments are wrong."""
    formats = {".md": markdown, ".svg": svg}
    if len(arguments) != 1 or Path(arguments[0]).suffix not in formats:
        sys.stderr.write("usage: python -m graphs.draw OUT.md|OUT.svg\n")
        return 2
    out = Path(arguments[0])
    out.write_text(formats[out.suffix](), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
