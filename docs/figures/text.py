"""Draws the picture of docs/text.md: from texts and history to the interest match."""

import argparse
from pathlib import Path

_WIDTH, _HEIGHT = 760, 330
_INK, _LINE, _FILL, _ACCENT = "#24292f", "#8c959f", "#f6f8fa", "#ddf4ff"


def box(x: int, y: int, width: int, lines: tuple[str, ...], fill: str = _FILL) -> str:
    """Draw a box of text, the first line in bold."""
    height = 16 + 17 * len(lines)
    words = "".join(
        f'<text x="{x + width / 2}" y="{y + 21 + 17 * place}" text-anchor="middle" '
        f'font-weight="{600 if place == 0 else 400}">{line}</text>'
        for place, line in enumerate(lines)
    )
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" '
        f'stroke="{_LINE}"/>{words}'
    )


def arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    """Draw an arrow."""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{_LINE}" stroke-width="1.5" '
        'marker-end="url(#tip)"/>'
    )


def picture() -> str:
    """Give the picture as SVG."""
    parts = [
        box(10, 15, 170, ("history", "up to 300 past items,", "kind and age of each")),
        box(10, 132, 170, ("candidates", "texts of the slate")),
        box(10, 215, 170, ("query", "when there is one")),
        box(225, 112, 130, ("BERT", "once per text,", "then three towers")),
        box(400, 15, 150, ("past h", "128 numbers an item")),
        box(400, 132, 150, ("candidate z", "128 numbers")),
        box(400, 215, 150, ("query q", "128 numbers")),
        box(595, 15, 155, ("two attentions", "blind: text, kind, age", "sharp: and z")),
        box(595, 132, 155, ("interest match", "history + default", "+ query, dot z"), _ACCENT),
        box(595, 250, 155, ("ranker", "match, its percentile,", "behaviour")),
        arrow(180, 50, 225, 125),
        arrow(180, 156, 225, 145),
        arrow(180, 240, 225, 165),
        arrow(355, 128, 400, 50),
        arrow(355, 146, 400, 156),
        arrow(355, 165, 400, 235),
        arrow(550, 42, 595, 42),
        arrow(550, 150, 595, 85),
        arrow(550, 160, 595, 160),
        arrow(550, 238, 595, 188),
        arrow(672, 82, 672, 130),
        arrow(672, 199, 672, 248),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="system-ui, sans-serif" '
        f'font-size="13" fill="{_INK}"><title>From texts and history to the interest match</title>'
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{_LINE}"/></marker></defs>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, nargs="?", default=Path("docs/figures/text.svg"))
    parser.parse_args().target.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
