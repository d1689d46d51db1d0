"""Report of an explanation, for the terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from recsys.explain import Explanation

_Row = tuple[tuple[str, ...], float]

_BAR = 16
"""Characters of the longest bar."""


def explanation_view(explanation: Explanation) -> RenderableType:
    """Show the match, the past items behind it, and the words that mattered.

    Args:
        explanation: From `explain`.

    Returns:
        Tables whose shares add up to the match.
    """
    told = explanation
    whose = f"user {told.user_id}" if told.user_id is not None else "no user in particular"
    asked = f", query {told.query!r}" if told.query is not None else ""
    head = Text(
        f"item {told.item_id} for {whose}{asked}, as of {told.as_of:%Y-%m-%d %H:%M} UTC\n"
        f"interest match {told.match:+.3f} in bundle {told.bundle}\n{_version(told)}"
    )
    if told.changed:
        head.append(
            "\nthe text is not the one the bundle was trained with: what is served still goes by "
            "that one",
            style="yellow",
        )
    history: list[_Row] = [
        (("default profile", ""), told.default),
        *([(("query", told.query), told.asked)] if told.query is not None else []),
        *(((past.item_id, past.text), past.share) for past in told.past),
        *([(("other past items", ""), told.other_past)] if told.other_past else []),
    ]
    words: list[_Row] = [((word.word,), word.share) for word in told.words]
    return Group(
        head,
        _table("What the match is the sum of", ("from", "text"), history),
        _table(
            "The words that mattered, in the order of the text",
            ("word",),
            [*words, (("(all words blanked)",), told.blank)],
        ),
    )


def _version(told: Explanation) -> str:
    """Say which version of the item was ranked."""
    since = told.version_since
    in_force = f"in force since {since:%Y-%m-%d %H:%M} UTC" if since else "as it always was"
    price = f", price {told.price:g}" if told.price is not None else ""
    return f"its version {in_force}{price}"


def _table(title: str, names: tuple[str, ...], rows: Sequence[_Row]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name)
    table.add_column("share", justify="right")
    table.add_column("")
    most = max(abs(share) for _, share in rows) or 1
    for cells, share in rows:
        bar = Text("█" * round(_BAR * abs(share) / most), style="green" if share >= 0 else "red")
        table.add_row(*(Text(cell) for cell in cells), f"{share:+.3f}", bar)
    return table
