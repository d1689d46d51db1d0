"""Windowed counters of a simulated log: our batch executor, Feast's join, and plain Python.

All give the same counters of the same ranking rows: those that the default set of features reads,
each in all its windows. For Feast only those of items, of users, and of users with items, since its
join of the changes of a whole category would be out of all proportion. The values are compared
before anything is told. What is timed:

- ours: what `recsys backfill` does on two threads, its default, without the start of the program:
  reading the log, computing the counters, and writing the rows as Parquet. It is the second run of
  the process: the first also loads the machine code of the loops;
- Feast: `get_historical_features(...).to_arrow()` alone, DuckDB offline store. The counters are
  computed for it beforehand, keys are integers, the rows are in memory already, and rows of guests
  are left out: none of that is timed. `feast` has a row per change of a counter; `feast_kindest` is
  the kindest form found, where a row of an item or a user holds for a day (see feast_tables.py);
- plain Python: one loop over events and rows, which are tuples in memory; reading and writing are
  not timed. `plain_python` keeps a dict of deques per counter; `plain_scan` counts each window anew
  from the past of the row's key, as the definition says.

`plain_scan` and `feast` are too slow for all rows: they compute two samples drawn evenly over the
log, a large and a small one, and what all rows would take is told from the straight line through
both. So what a run costs whatever its rows, such as taking the events in, counts once.

    python -m benchmarks.features.baselines FOLDER [--events 1M] [--feast-rows 50k]
        [--without-feast]

Feast conflicts with our pins, so it gets a virtual environment of its own in FOLDER, from
`feast-requirements.txt`. The last line printed is a JSON object.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import polars as pl

from benchmarks.features.feast_tables import AT, Count, view_table, views
from benchmarks.features.plain_loop import Scan, Window, plain_rows
from benchmarks.features.simulated_log import configure, simulated_log
from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from features.arrays.clock import DAY
from features.backfill.run import Scope
from features.counter_spec import ITEM, USER
from features.kinds.counts import WindowCount
from features.log.events import IMPRESSION, is_derived
from features.settings import FeatureSettings
from recsys.datasets.simulation.world.settings import SimulationSettings
from recsys.datasets.simulation.world.sizing import parse_count, sized_settings
from recsys.workspace.backfill import open_workspace_log, run_backfill
from recsys.workspace.feature_sets import row_features
from recsys.workspace.workspace import Workspace

TARGET_FEAST, TARGET_PLAIN = 10.0, 100.0
ROWS_FROM = 14
SCANNED_ROWS = 20_000
NUMBER = "number"
REQUIREMENTS = Path(__file__).with_name("feast-requirements.txt")


@dataclass(frozen=True)
class Part:
    """What one of the three computed.

    Attributes:
        names: Names of the counters.
        seconds: Time it took on the clock.
        cpu_seconds: Time of all processors.
        values: int64 [n_rows, n_counts].
        number: int64 [n_rows], place of each row among all rows.
        stands_for: Rows that the times are of; those of the values when None.
    """

    names: Sequence[str]
    seconds: float
    cpu_seconds: float
    values: np.ndarray
    number: np.ndarray
    stands_for: int | None = None

    @property
    def rows_per_second(self) -> float:
        """Rows per second."""
        return (self.stands_for or len(self.number)) / self.seconds


@dataclass(frozen=True)
class Shop:
    """The log with numbers for ids.

    Attributes:
        counts: The counters.
        parts: The parts of keys: user (null for a guest), item, attributes of items.
        events: time, the parts, events (the kind, impressions among them); in order of time.
        rows: number, time, the parts; in the order of our features' files.
    """

    counts: Sequence[Count]
    parts: Sequence[str]
    events: pl.DataFrame
    rows: pl.DataFrame

    @property
    def names(self) -> list[str]:
        """Names of the counters."""
        return [count.name for count in self.counts]


def default_counts(workspace: Workspace) -> list[Count]:
    """List the windowed counts that the default set reads, but for those of derived events."""
    return [
        Count(spec.key, spec.kind, days)
        for spec in row_features(workspace.config).counters
        if spec.measure == "events" and (spec.kind == IMPRESSION or not is_derived(spec.kind))
        for days in spec.windows
    ]


def without_attributes(counts: Sequence[Count]) -> list[Count]:
    """Keep the counts of items, of users, and of users with items."""
    return [count for count in counts if {ITEM, USER}.issuperset(count.key)]


def read_shop(workspace: Workspace, counts: Sequence[Count], first_day: int) -> Shop:
    """Read the events of a workspace, and the rows from a day on (days since 1970-01-01)."""
    user, item = Impressions.user_id.name, Impressions.item_id.name
    time = Impressions.timestamp.name
    attributes = sorted({part for count in counts for part in count.key} - {ITEM, USER})
    parts = [USER, ITEM, *attributes]
    columns = [_time(time), _number(user, USER), _number(item, ITEM)]
    kind = Interactions.kind.col.alias("events")
    items = workspace.scan("items").select(_number(Items.item_id.name, ITEM), *attributes)
    events = pl.concat(
        [
            workspace.scan("interactions").select(*columns, kind),
            workspace.scan("impressions").select(*columns, pl.lit(IMPRESSION).alias("events")),
        ]
    )
    rows = (
        workspace.scan("impressions")
        .sort(time, Impressions.request_id.name, Impressions.position.name)
        .select(*columns)
        .filter(pl.col("time") >= first_day * DAY)
        .with_row_index(NUMBER)
    )
    events, rows = (
        table.join(items, ITEM, "left", maintain_order="left") for table in (events, rows)
    )
    return Shop(
        counts,
        parts,
        events.select("time", *parts, "events").sort("time").collect(),
        rows.select(NUMBER, "time", *parts).collect(),
    )


def _number(name: str, alias: str) -> pl.Expr:
    return pl.col(name).str.slice(1).cast(pl.Int64).alias(alias)


def _time(name: str) -> pl.Expr:
    return pl.col(name).dt.timestamp("us").alias("time")


def ours(workspace: Workspace, names: Sequence[str]) -> Part:
    """Compute the counters with our batch executor."""
    for _ in range(2):
        shutil.rmtree(workspace.features, ignore_errors=True)
        started, cpu = perf_counter(), process_time()
        run_backfill(workspace, open_workspace_log(workspace), scope=Scope(workers=2))
    seconds, cpu_seconds = perf_counter() - started, process_time() - cpu
    files = str(workspace.rows / "*.parquet")
    # A guest's counts of the user are missing; the others give 0.
    frame = pl.read_parquet(files, columns=list(names)).fill_nan(0).fill_null(0)
    values = frame.to_numpy().astype(np.int64)
    return Part(names, seconds, cpu_seconds, values, np.arange(len(values)))


def plain(shop: Shop, rows: pl.DataFrame, counter: type[Window]) -> Part:
    """Compute the counters of some rows in a loop."""
    asked = list(rows.drop(NUMBER).iter_rows())
    events = list(shop.events.iter_rows())
    started, cpu = perf_counter(), process_time()
    done = list(plain_rows(asked, events, shop.counts, counter, shop.parts))
    seconds, cpu_seconds = perf_counter() - started, process_time() - cpu
    values = np.array([[row[name] for name in shop.names] for row in done])
    return Part(shop.names, seconds, cpu_seconds, values, rows[NUMBER].to_numpy())


@dataclass(frozen=True)
class Feast:
    """Feast with the counters of a log in its offline store.

    Args:
        shop: The log.
        folder: Where the environment and the files are.
        kindest: Whether rows of items and of users hold for a day only. A user with an item has
            a few changes, so that it would be no kindness there.
    """

    shop: Shop
    folder: Path
    kindest: bool

    def prepare(self) -> None:
        """Compute the counters for it and declare them."""
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()
        until = int(self.shop.rows["time"][-1]) + 1
        told = {}
        for name, counts in views(self.shop.counts).items():
            daily = self.kindest and len(counts[0].key) == 1
            table = view_table(self.shop.events, counts, until, daily=daily)
            table.write_parquet(self._work / f"{name}.parquet")
            told[name] = {
                "keys": list(counts[0].key),
                "features": [count.name for count in counts],
                "holds_seconds": DAY // 1_000_000 if daily else 0,
            }
        (self._work / "views.json").write_text(json.dumps(told), encoding="utf-8")

    def join(self, rows: pl.DataFrame) -> Part:
        """Join the counters to some rows, none of them a guest's."""
        when = pl.col("time").cast(pl.Datetime("us", "UTC")).alias(AT)
        asked = rows.select(NUMBER, "user", "item", when)
        asked.write_parquet(self._work / "entities.parquet")
        python = _environment(self.folder / "feast-environment")
        command = [str(python), str(Path(__file__).with_name("feast_join.py")), str(self._work)]
        done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        joined = pl.read_parquet(self._work / "joined.parquet").sort(NUMBER)
        values = joined.select(pl.col(self.shop.names).fill_null(0)).to_numpy().astype(np.int64)
        cost, number = json.loads(done.splitlines()[-1]), joined[NUMBER].to_numpy()
        return Part(self.shop.names, cost["seconds"], cost["cpu_seconds"], values, number)

    @property
    def _work(self) -> Path:
        return self.folder / "feast"


def over_all(compute: Callable[[pl.DataFrame], Part], rows: pl.DataFrame, count: int) -> Part:
    """Tell what all rows would take from two samples of them, drawn evenly.

    Args:
        compute: Computes the counters of some rows.
        rows: All rows.
        count: Rows of the larger sample; the other has a tenth of them.

    Returns:
        The larger sample's values, with the time that all rows would take.
    """
    few, many = (
        compute(rows.gather_every(max(rows.height // size, 1))) for size in (count // 10, count)
    )
    more = len(many.number) - len(few.number)
    factor = (rows.height - len(many.number)) / more
    return replace(
        many,
        seconds=many.seconds + factor * max(many.seconds - few.seconds, 0),
        cpu_seconds=many.cpu_seconds + factor * max(many.cpu_seconds - few.cpu_seconds, 0),
        stands_for=rows.height,
    )


def _environment(folder: Path) -> Path:
    """Make the virtual environment for Feast where there is none for these requirements."""
    python, stamp = folder / "bin" / "python", folder / REQUIREMENTS.name
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing Feast into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)]
        subprocess.run(install, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def require_equal(mine: Part, other: Part, who: str) -> None:
    """Stop when the values of the rows that both have differ."""
    same = mine.values[other.number] == other.values
    if not same.all():
        row, column = np.argwhere(~same)[0]
        number = other.number[row]
        message = (
            f"{who} and ours differ in {int((~same).sum())} of {same.size} values; first in row "
            f"{number}, {mine.names[column]}: {other.values[row, column]}, "
            f"ours {mine.values[number, column]}"
        )
        raise RuntimeError(message)


STILL = {
    "price_changes": 0.0,
    "title_changes": 0.0,
    "deleted": 0.0,
    "late_items": 0.0,
    "late_impressions": 0.0,
}
"""A catalogue without history, and no late impressions: what the others can count too."""


def run(folder: Path, events: int, feast_rows: int) -> dict[str, object]:
    """Compute with all, compare, and give the figures, ready for JSON."""
    settings = sized_settings(events, STILL)
    workspace = simulated_log(folder / f"baselines-{events}", settings)
    workspace = configure(workspace, settings, FeatureSettings(), ROWS_FROM)
    counts = default_counts(workspace)
    shop, mine = _ours_of(workspace, settings, counts)
    others = {
        "plain_python": plain(shop, shop.rows, Window),
        "plain_scan": over_all(lambda rows: plain(shop, rows, Scan), shop.rows, SCANNED_ROWS),
    }
    result: dict[str, object] = {
        "benchmark": "feature_baselines",
        "cpus": os.cpu_count(),
        "events": shop.events.height,
        **_against("ours", mine, others),
    }
    if feast_rows:
        shop, mine = _ours_of(workspace, settings, without_attributes(counts))
        known = shop.rows.drop_nulls(USER)
        changes, kindest = (Feast(shop, folder, kindest) for kindest in (False, True))
        changes.prepare()
        others = {"feast": over_all(changes.join, known, feast_rows)}
        kindest.prepare()
        others["feast_kindest"] = kindest.join(known)
        result |= _against("ours_without_attributes", mine, others)
    return result | {"target_over_feast": TARGET_FEAST, "target_over_plain_python": TARGET_PLAIN}


def _ours_of(
    workspace: Workspace, settings: SimulationSettings, counts: Sequence[Count]
) -> tuple[Shop, Part]:
    """Compute counters of a log with our batch executor."""
    columns = tuple(WindowCount(count.key, count.events, count.days) for count in counts)
    workspace = configure(workspace, settings, FeatureSettings(columns=columns), ROWS_FROM)
    first_day = int(workspace.config.split.text_end.timestamp()) // 86_400
    shop = read_shop(workspace, counts, first_day)
    mine = ours(workspace, shop.names)
    if len(mine.number) != shop.rows.height:
        message = f"{len(mine.number)} rows of ours for {shop.rows.height} impressions"
        raise RuntimeError(message)
    return shop, mine


def _against(name: str, mine: Part, others: Mapping[str, Part]) -> dict[str, object]:
    """Require the values of ours and of others to be equal, and give the figures."""
    result: dict[str, object] = {name: _figures(mine)}
    for who, part in others.items():
        require_equal(mine, part, who)
        result[who] = _figures(part)
        result[f"ours_over_{who}"] = round(mine.rows_per_second / part.rows_per_second, 1)
    return result


def _figures(part: Part) -> dict[str, float]:
    return {
        "columns": len(part.names),
        "rows": part.stands_for or len(part.number),
        "rows_computed": len(part.number),
        "seconds": round(part.seconds, 2),
        "cpu_seconds": round(part.cpu_seconds, 2),
        "rows_per_second": round(part.rows_per_second),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the log and Feast's environment are kept")
    parser.add_argument("--events", type=parse_count, default=parse_count("1M"))
    parser.add_argument(
        "--feast-rows",
        type=parse_count,
        default=parse_count("50k"),
        help="rows that Feast joins to a row per change; in its kindest form it joins all",
    )
    parser.add_argument("--without-feast", action="store_true")
    asked = parser.parse_args(arguments)
    result = run(asked.folder, asked.events, 0 if asked.without_feast else asked.feast_rows)
    for name, value in result.items():
        print(f"{name:24} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
