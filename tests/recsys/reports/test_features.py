"""What `recsys features list` tells."""

from rich.console import Console

from features.defaults import default_features
from features.feature_set import FeatureSet
from features.kinds.counts import WindowCount
from features.kinds.item import Price
from features.settings import FeatureSettings
from recsys.reports.features import HEADINGS, list_markdown, render_list

FEATURES = default_features(FeatureSettings(), ("click", "purchase"), logged=True)


def test_markdown_has_a_row_with_every_cell_filled_for_each_column() -> None:
    lines = list_markdown(FEATURES).splitlines()
    assert lines[0].split(" | ")[0].strip("| ") == HEADINGS[0]
    rows = [line.strip("| ").split(" | ") for line in lines[2:]]
    assert [row[0] for row in rows] == [f"`{name}`" for name in FEATURES.names]
    assert all(len(row) == len(HEADINGS) and all(row) for row in rows)


def test_the_terminal_tells_what_is_for_evaluation_only() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render_list(FeatureSet((Price(),)), [WindowCount(("item",), "buy", 1)]))
    said = capture.get()
    assert "item_price" in said
    assert "buy events of this item in the last day" in said
    assert "1 columns, 1 more for evaluation" in said
