from typer.main import get_group

from serving.commands.cli import app

GROUPS = {
    "Data": {"simulate", "contracts", "validate", "import"},
    "Train": {"backfill", "features", "encoder", "train"},
    "Judge": {"evaluate", "explain"},
    "Serve": {"serve", "demo"},
}


def test_help_has_each_command_in_its_group() -> None:
    found: dict[str, set[str]] = {}
    for name, command in get_group(app).commands.items():
        found.setdefault(getattr(command, "rich_help_panel", ""), set()).add(name)
    assert list(found) == list(GROUPS)
    assert found == GROUPS
