import re
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from features.checks.quality import QualityReport
from recsys.bundle.bundle import load_bundle
from recsys.bundle.manifest import MANIFEST
from recsys.bundle.versions import open_version
from recsys.evaluation.result import ALL, RANDOM, TEXT_ONLY, EvaluationResult
from recsys.metrics.ranking import AUC
from recsys.workspace.config import CONFIG_NAME
from recsys.workspace.workspace import TABLES, Workspace
from serving.commands.cli import main
from tests.recsys.datasets.mind_folder import write_mind_folder
from tests.worlds import listing, tamper, with_quick_training

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture
def recsys(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Command":
    return Command(monkeypatch, capsys)


class Command:
    """Runs `recsys` in this process, as the console script does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> tuple[int, str]:
        """Give the exit code and all that was printed, as one line."""
        self.monkeypatch.setenv("COLUMNS", "200")
        self.monkeypatch.setattr(sys, "argv", ["recsys", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        out, err = self.capsys.readouterr()
        return code, " ".join((out + err).split())


def test_validate_train_and_evaluate_end_well(recsys: Command, tiny_workspace: Workspace) -> None:
    root = tiny_workspace.root
    code, said = recsys("validate", root)
    assert code == 0, said
    code, said = recsys("backfill", root, "--again")
    assert code == 0, said
    assert "Computing features" in said
    assert "columns over" in said
    ends = "the log ends at 2026-"
    assert ends in said
    quality = QualityReport.model_validate_json(
        (tiny_workspace.reports / "features.json").read_bytes()
    )
    assert quality.rows > 100
    code, again = recsys("features", "quality", root)
    assert code == 0, again
    assert (
        QualityReport.model_validate_json(
            (tiny_workspace.reports / "features.json").read_bytes()
        ).columns[0]
        == quality.columns[0]
    )
    code, listed = recsys("features", "list", root, "--markdown")
    assert code == 0, listed
    assert all(f"`{column.name}`" in listed for column in quality.columns)
    code, said = recsys("train", root)
    assert code == 0, said
    version = open_version(tiny_workspace.bundle()).name
    assert f"{tiny_workspace.bundle()} is version {version}" in said
    assert ends in said
    code, said = recsys("evaluate", root, "--markdown")
    assert code == 0, said
    assert ends in said
    assert "| text and behaviour |" in said
    assert f"Bundle: current {version}." in said
    assert {path.name for path in (tiny_workspace.reports).iterdir()} == {
        "evaluation.json",
        "evaluation.html",
        "features.json",
        "features.html",
    }
    code, said = recsys("evaluate", root, "--bundle", tiny_workspace.bundle())
    assert code == 0, said
    assert f"--bundle {tiny_workspace.bundle()}" in (
        tiny_workspace.reports / "evaluation.json"
    ).read_text(encoding="utf-8")


def no_rows(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.clear()


def without(column: str) -> Change:
    return lambda frame: frame.drop(column)


def as_text(column: str) -> Change:
    return lambda frame: frame.with_columns(pl.col(column).cast(pl.String))


def without_zone(column: str) -> Change:
    return lambda frame: frame.with_columns(pl.col(column).dt.replace_time_zone(None))


BAD_TABLES = [
    ("items", no_rows, "no rows"),
    ("impressions", no_rows, "no rows"),
    ("interactions", no_rows, "no rows"),
    ("items", without(Items.title.name), "'title'"),
    ("impressions", without(Impressions.request_id.name), "'request_id'"),
    ("interactions", without(Interactions.kind.name), "'kind'"),
    ("items", as_text(Items.price.name), "column price"),
    ("impressions", as_text(Impressions.position.name), "column position"),
    ("impressions", without_zone(Impressions.timestamp.name), "without a zone"),
    ("interactions", without_zone(Interactions.timestamp.name), "without a zone"),
]


@pytest.mark.parametrize(("table", "change", "named"), BAD_TABLES)
def test_a_bad_table_is_refused_and_nothing_is_left_behind(
    recsys: Command, tiny_workspace: Workspace, table: str, change: Change, named: str
) -> None:
    path = Path(tiny_workspace.location(table))
    change(pl.read_parquet(path)).write_parquet(path)
    before = listing(tiny_workspace.root)
    for command in ("train", "backfill", "evaluate"):
        code, said = recsys(command, tiny_workspace.root)
        assert code == 1
        assert all(part in said for part in ("found", "expected", "what to do", named)), said
        assert "Traceback" not in said
        assert listing(tiny_workspace.root) == before
    code, said = recsys("validate", tiny_workspace.root)
    assert code == 1
    assert named in said


@pytest.mark.parametrize("content", [b"", b"no parquet at all"])
def test_a_file_that_is_no_table_is_refused(
    recsys: Command, tiny_workspace: Workspace, content: bytes
) -> None:
    Path(tiny_workspace.location("items")).write_bytes(content)
    before = listing(tiny_workspace.root)
    code, said = recsys("train", tiny_workspace.root)
    assert code == 1
    assert "cannot be read" in said
    assert listing(tiny_workspace.root) == before


def test_a_folder_that_is_no_workspace_is_refused(recsys: Command, tmp_path: Path) -> None:
    for command in ("validate", "backfill", "train", "evaluate"):
        code, said = recsys(command, tmp_path)
        assert code == 1
        assert f"no file {tmp_path / CONFIG_NAME}" in said
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_documented_commands_follow_each_other_on_default_settings(
    recsys: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path, no setting changed, the default encoder, which is wider than the space."""
    monkeypatch.chdir(tmp_path)
    for command in (
        "simulate shop --events 10k",
        "validate shop",
        "features init shop --write",
        "features list shop --markdown",
        "backfill shop --features item_click_7d,item_price",
        "backfill shop --workers 1",
        "backfill shop --again",
        "features quality shop",
        "features parity shop",
        "encoder bench shop --texts 20",
        "encoder embed shop",
        "train encoder shop",
        "train encoder shop --resume",
        "train shop",
        "evaluate shop --markdown",
        "evaluate shop --bundle shop/bundles/current",
        "evaluate shop --cold --share 0.15",
        "explain shop --item i000000",
        "contracts contracts",
    ):
        code, said = recsys(*command.split())
        assert code == 0, (command, said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contracts", "shop"]
    bundle = load_bundle(tmp_path / "shop" / "bundles" / "current")
    table = bundle.signals.interest
    assert table.dim > table.items.base.shape[1]


def test_a_launch_takes_no_bundle(recsys: Command, trained_workspace: Workspace) -> None:
    bundle = trained_workspace.bundle()
    code, said = recsys("evaluate", trained_workspace.root, "--cold", "--bundle", bundle)
    assert code == 2
    assert "takes no --bundle" in said


def test_a_corrupt_bundle_is_refused(recsys: Command, tiny_workspace: Workspace) -> None:
    bundle = tiny_workspace.bundle()
    model = open_version(bundle).model
    tamper(model / "full.txt", lambda content: content[:-1])
    before = listing(tiny_workspace.root)
    code, said = recsys("evaluate", tiny_workspace.root)
    assert code == 1
    assert "changed full.txt" in said
    assert listing(tiny_workspace.root) == before
    code, said = recsys("serve", bundle)
    assert code == 1
    assert "changed full.txt" in said
    (model / MANIFEST).unlink()
    code, said = recsys("evaluate", tiny_workspace.root)
    assert code == 1
    assert "no manifest.json" in said


def test_more_seeds_than_bundles_are_refused(recsys: Command, trained_workspace: Workspace) -> None:
    code, said = recsys("evaluate", trained_workspace.root, "--seeds", 2)
    assert code == 1
    assert "seed-1" in said
    code, said = recsys("train", trained_workspace.root, "--seeds", 0)
    assert code == 2


def test_a_dirty_log_of_a_wanted_size_is_made_and_counted(recsys: Command, tmp_path: Path) -> None:
    shares = ("--late", 0.1, "--duplicates", 0.1, "--orphans", 0.1, "--bots", 0.05)
    code, said = recsys("simulate", tmp_path / "shop", "--events", "20k", "--days", 14, *shares)
    assert code == 0, said
    table = re.findall(r"│ ([a-z ]+?) +│ +([\d,]+) │", said)
    counts = {name: int(count.replace(",", "")) for name, count in table}
    log = Workspace.open(tmp_path / "shop")
    rows = [log.scan(table).select(pl.len()).collect().item() for table in TABLES[1:]]
    assert counts["events"] == sum(rows)
    assert 15_000 < counts["events"] < 30_000
    done = counts["clicks"] + counts["carts"] + counts["purchases"]
    for kind in ("late", "duplicates", "orphans"):
        assert 0.05 < counts[kind] / done < 0.15


@pytest.mark.parametrize("events", ["many", "1e6"])
def test_a_size_that_is_no_count_is_refused(recsys: Command, tmp_path: Path, events: str) -> None:
    code, said = recsys("simulate", tmp_path / "shop", "--events", events)
    assert code == 1
    assert "is no count" in said
    assert list(tmp_path.iterdir()) == []


def test_sizes_that_do_not_fit_are_refused(recsys: Command, tmp_path: Path) -> None:
    code, said = recsys("simulate", tmp_path / "shop", "--items", 3)
    assert code == 1
    assert "slate_size" in said
    assert list(tmp_path.iterdir()) == []


def test_a_mind_folder_goes_all_the_way(recsys: Command, tmp_path: Path) -> None:
    """Clicks follow favourite categories, so the text must say more than chance."""
    source = write_mind_folder(
        tmp_path / "mind", users=40, items=80, behaviours=500, slate_size=10
    ).path
    target = tmp_path / "news"
    assert recsys("import", "mind", source, target)[0] == 0
    workspace = with_quick_training(Workspace.open(target))
    for command in ("validate", "train", "evaluate"):
        code, said = recsys(command, target)
        assert code == 0, said
    result = EvaluationResult.model_validate_json(
        (workspace.reports / "evaluation.json").read_bytes()
    )
    chance, text = (result.estimate(ALL, model, AUC) for model in (RANDOM, TEXT_ONLY))
    assert chance is not None
    assert text is not None
    assert text.mean > chance.mean + 0.05
