import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_contracts.errors import DataError
from recsys.datasets.ledger import ImportReport
from recsys.datasets.online_retail import import_online_retail
from recsys.datasets.online_retail_slates import MOST_BOUGHT, NEGATIVES, ON_SALE_DAYS
from recsys.workspace.config import read_config
from tests.recsys.datasets.checks import assert_is_workspace, counts_of, read_tables, rows_for
from tests.recsys.datasets.retail_folder import Line, line, plain_lines, write_retail_folder

REAL_FOLDER = "RECSYS_ONLINE_RETAIL"
FIRST = plain_lines(0, 40, invoice=1000)
SECOND = plain_lines(40, 60, invoice=2000, seed=1)
ITEMS = len({sale[1] for sale in FIRST + SECOND})
FIRST_AND_SECOND_DAYS = len({(sale[1], sale[4][:10]) for sale in FIRST + SECOND})


def imported(
    path: Path, first: list[Line], second: list[Line], *, keep_guests: bool = False
) -> tuple[ImportReport, dict[str, pl.DataFrame]]:
    folder = write_retail_folder(path / "raw", first, second)
    report = import_online_retail(folder, path / "ws", keep_guests=keep_guests)
    assert_is_workspace(path / "ws", report)
    return report, read_tables(path / "ws")


def test_plain_lines_all_become_purchases(tmp_path: Path) -> None:
    report, tables = imported(tmp_path, FIRST, SECOND)
    assert counts_of(report, "sale lines") == {}
    assert tables["interactions"].height == len(FIRST) + len(SECOND)
    assert set(tables["interactions"]["kind"]) == {"purchase"}
    assert tables["items"]["title"].str.contains(r"^ITEM \d+$").all()
    assert (tables["items"]["price"] == tables["items"]["item_id"].cast(pl.Int64) - 19_999).all()
    config = read_config(tmp_path / "ws" / "recsys.toml")
    assert (config.slate_source, config.data_origin) == ("sampled", "real")
    assert "purchases only" in config.note


WARTS = [
    (line("C3000", 50, quantity=-1), "cancelled"),
    (line("A3001", 50, "B", title="Adjust bad debt", price=-5.0), "accounts"),
    (line(3002, 50, quantity=0), "quantity below 1"),
    (line(3003, 50, title="damaged", quantity=-7, price=0.0, customer=None), "quantity below 1"),
    (line(3004, 50, price=0.0), "no price"),
    (line(3005, 50, price=float("nan")), "no price"),
    (line(3006, 50, "POST", title="POSTAGE"), "no product"),
    (line(3007, 50, "gift_0001_10", title="Voucher"), "no product"),
    (line(3008, 50, customer=None), "no customer"),
    (line(3009, 50, customer=0.0), "no customer"),
    (line(3010, 50, customer=float("nan")), "no customer"),
    ((*line(3011, 50)[:4], "yesterday", 2.0, 1.0), "time that cannot be read"),
]


@pytest.mark.parametrize(("wart", "reason"), WARTS)
def test_a_line_that_is_no_sale_of_a_product_is_counted(
    tmp_path: Path, wart: Line, reason: str
) -> None:
    report, tables = imported(tmp_path, [*FIRST, wart], SECOND)
    assert list(counts_of(report, "sale lines").values()) == [1]
    assert rows_for(report, "sale lines", reason) == 1
    assert tables["interactions"].height == len(FIRST) + len(SECOND)


def test_guests_can_be_kept_and_get_no_slate(tmp_path: Path) -> None:
    guests = [line(3008, 50, customer=None), line(3009, 50, customer=0.0)]
    report, tables = imported(tmp_path, [*FIRST, *guests], SECOND, keep_guests=True)
    kept = tables["interactions"].filter(pl.col("user_id").is_null())
    assert kept["session_id"].to_list() == ["3008", "3009"]
    assert kept["request_id"].null_count() == len(guests)
    assert rows_for(report, "invoices", "no customer") == len(guests)


def test_invoices_in_both_files_are_read_once(tmp_path: Path) -> None:
    both = plain_lines(40, 4, invoice=1500, seed=3)
    report, tables = imported(tmp_path, [*FIRST, *both], [*both, *SECOND])
    assert rows_for(report, "sale lines", "later file") == len(both)
    assert tables["interactions"].height == len(FIRST) + len(both) + len(SECOND)


def test_repeated_lines_become_one_purchase_at_the_average_price(tmp_path: Path) -> None:
    lines = [
        line(3000, 50, "30001A", quantity=1, price=2.0),
        line(3000, 50, "30001a", quantity=3, price=1.0),
    ]
    report, tables = imported(tmp_path, [*FIRST, *lines], SECOND)
    (sale,) = tables["interactions"].filter(pl.col("session_id") == "3000").to_dicts()
    assert (sale["event_id"], sale["item_id"], sale["user_id"]) == ("3000-30001A", "30001A", "1")
    assert sale["value"] == (1 * 2.0 + 3 * 1.0) / (1 + 3)
    assert rows_for(report, "sale lines", "merged") == 1
    assert rows_for(report, "sale lines", "lower case") == 1


def test_an_invoice_has_its_first_time_in_utc(tmp_path: Path) -> None:
    # 20 June 2010, summer time: nine in London is eight in UTC.
    day = (datetime(2010, 6, 20) - datetime(2009, 12, 1)).days
    lines = [line(3000, day), line(3000, day + 1 / 1440, "20002")]
    report, tables = imported(tmp_path, FIRST, [*SECOND, *lines])
    sales = tables["interactions"].filter(pl.col("session_id") == "3000")
    assert set(sales["timestamp"]) == {datetime(2010, 6, 20, 8, tzinfo=UTC)}
    assert rows_for(report, "sale lines", "later than its invoice") == 1


def midnight(day: int) -> datetime:
    """Midnight UTC that begins a day of the log, which starts on day 0."""
    return datetime(2009, 12, 1, tzinfo=UTC) + timedelta(days=day)


def versions(tables: dict[str, pl.DataFrame], item: str) -> list[tuple[datetime, str, float]]:
    rows = tables["items"].filter(pl.col("item_id") == item)
    return rows.select("updated_at", "title", "price").rows()


def as_of(tables: dict[str, pl.DataFrame], item: str, moment: datetime) -> tuple[str, float]:
    """Title and price that a request of that moment sees."""
    *_, (_, title, price) = (row for row in versions(tables, item) if row[0] <= moment)
    return title, price


def test_a_request_sees_no_later_title_or_price(tmp_path: Path) -> None:
    lines = [
        line(3000, 20, "30001", title="FROSTED JAR", price=2.0),
        *(line(3001 + i, 200 + i, "30001", title="RED JAR", price=9.0) for i in range(5)),
    ]
    _, tables = imported(tmp_path, [*FIRST, lines[0]], [*SECOND, *lines[1:]])
    assert as_of(tables, "30001", midnight(31)) == ("FROSTED JAR", 2.0)
    assert as_of(tables, "30001", midnight(205)) == ("RED JAR", 9.0)


def test_a_day_of_sales_is_known_from_the_next_midnight_but_the_first_from_its_own(
    tmp_path: Path,
) -> None:
    lines = [
        line(3000, 50, "30001", price=1.0),
        line(3001, 50.1, "30001", price=2.0),
        line(3002, 50.2, "30001", price=6.0),
        line(3003, 52, "30001", price=3.0),
        line(3004, 52.1, "30001", price=4.0),
        line(3005, 53, "30001", price=3.5),
        line(3006, 60, "30001", price=2.0),
    ]
    report, tables = imported(tmp_path, [*FIRST, *lines], SECOND)
    assert versions(tables, "30001") == [
        (midnight(50), "RED MUG", 2.0),
        (midnight(53), "RED MUG", (3.0 + 4.0) / 2),
        (midnight(61), "RED MUG", 2.0),
    ]
    days = FIRST_AND_SECOND_DAYS + 4
    (ledger,) = (each for each in report.ledgers if each.name == "item versions")
    assert ledger.read == {"days on which an item was sold": days}
    assert ledger.kept == tables["items"].height == ITEMS + 3
    assert rows_for(report, "item versions", "first day") == ITEMS + 1
    assert rows_for(report, "item versions", "left its item as it was") == days - ledger.kept


def test_a_version_has_the_most_frequent_good_description_of_the_day(tmp_path: Path) -> None:
    lines = [
        line(3000, 50, "30001", title="BLUE MUG"),
        line(3001, 50.1, "30001", title="RED MUG"),
        line(3002, 50.2, "30001", title=" RED   MUG "),
        line(3003, 51, "30001", title="BLUE MUG"),
        *(line(3010 + i, 52, "30001", title="Missing_Description") for i in range(3)),
        line(3020, 53, "30003", title="OLD NAME"),
        line(3021, 53.1, "30003", title="NEW NAME"),
        line(3022, 54, "30003", title="B NAME"),
        line(3023, 54, "30003", title="A NAME"),
    ]
    report, tables = imported(tmp_path, [*FIRST, *lines], SECOND)
    assert versions(tables, "30001") == [
        (midnight(50), "RED MUG", 2.0),
        (midnight(52), "BLUE MUG", 2.0),
    ]
    assert versions(tables, "30003") == [
        (midnight(53), "NEW NAME", 2.0),
        (midnight(55), "A NAME", 2.0),
    ]
    assert rows_for(report, "item versions", "several descriptions") == 3
    assert rows_for(report, "item versions", "the one last seen") == 1


def test_an_item_has_no_title_until_the_first_good_one(tmp_path: Path) -> None:
    lines = [
        line(3000, 50, "30002", title="?"),
        line(3001, 51, "30002", title=None),
        line(3002, 52, "30002", title="RED MUG"),
        line(3003, 54, "30002", title=None),
    ]
    report, tables = imported(tmp_path, [*FIRST, *lines], SECOND)
    assert versions(tables, "30002") == [
        (midnight(50), "", 2.0),
        (midnight(53), "RED MUG", 2.0),
    ]
    assert rows_for(report, "item versions", "without text") == 2
    assert rows_for(report, "item versions", "the one last seen") == 1


def test_no_version_is_known_before_a_line_it_was_made_of_but_for_the_first_day(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(4)
    lines: list[Line] = [
        (*sale[:2], f"{sale[2]} {rng.choice(['OLD', 'NEW'])}", *sale[3:5], price, sale[6])
        for sale, price in zip(FIRST + SECOND, rng.integers(1, 4, 2000).tolist(), strict=True)
    ]
    _, whole = imported(tmp_path / "whole", lines, plain_lines(100, 2, invoice=5000))
    cut = midnight(60)
    before = [sale for sale in lines if datetime.fromisoformat(f"{sale[4]}Z") < cut]
    _, part = imported(tmp_path / "part", before[:1000], before[1000:])
    seen = part["items"].filter(pl.col("updated_at") <= cut)
    known = whole["items"].filter(pl.col("updated_at") <= cut)
    first = known.filter(pl.col("item_id").is_first_distinct(), pl.col("updated_at") == cut)
    assert first.height < 10 < ITEMS < seen.height
    assert_frame_equal(seen, known.join(first, on="item_id", how="anti"))
    assert part["items"].equals(seen)


def test_the_listing_is_known_only_after_the_first_90_days(tmp_path: Path) -> None:
    lines = [
        line(3000, 89.9, "30001"),
        line(3001, 90.3, "30002"),
        line(3002, 99, "30002", price=3.0),
    ]
    _, tables = imported(tmp_path, [*FIRST, *lines], SECOND)
    listed = tables["items"].select("item_id", "listed_at").unique().rows()
    assert [at for item, at in listed if item == "30001"] == [None]
    assert [at for item, at in listed if item == "30002"] == [datetime(2010, 3, 1, tzinfo=UTC)]


def test_slates_hold_what_was_on_sale_and_no_bought_negative(tmp_path: Path) -> None:
    large = [line(3000, 100, str(20_000 + i), customer=1.0) for i in range(60)]
    report, tables = imported(tmp_path, FIRST, [*SECOND, *large])
    shown, sales = tables["impressions"], tables["interactions"]
    joined = shown.join(sales, on=["item_id"], suffix="_sale")
    before = joined["timestamp"] - joined["timestamp_sale"]
    on_sale = joined.filter(
        (before > pl.duration(seconds=0)) & (before <= pl.duration(days=ON_SALE_DAYS))
    )
    assert on_sale.select("request_id", "item_id").n_unique() == shown.height
    bought = shown.join(sales, on=["session_id", "item_id"], how="semi")
    labelled = sales.filter(pl.col("request_id").is_not_null())
    keys = ["request_id", "item_id"]
    assert bought.select(keys).sort(keys).equals(labelled.select(keys).sort(keys))
    slate = shown.filter(pl.col("request_id") == "slate-3000")
    assert labelled.filter(pl.col("request_id") == "slate-3000").height == MOST_BOUGHT
    assert slate.height == MOST_BOUGHT + NEGATIVES
    assert slate["position"].to_list() == list(range(1, slate.height + 1))
    assert rows_for(report, "invoices", f"more than {MOST_BOUGHT}") == 1


def test_only_customers_with_an_earlier_invoice_get_slates(tmp_path: Path) -> None:
    lines = [
        line(3000, 100, customer=77),
        line(3001, 100, customer=77),
        line(3002, 110, customer=77),
        line(3003, 111, "30009", customer=77),
    ]
    report, tables = imported(tmp_path, FIRST, [*SECOND, *lines])
    shown = tables["impressions"].filter(pl.col("user_id") == "77")
    assert set(shown["request_id"]) == {"slate-3002"}
    # Six customers of the plain lines have a first one each; 30009 was never sold before.
    assert rows_for(report, "invoices", "first invoice") == 6 + 2
    assert rows_for(report, "invoices", "no item of it") >= 1


def test_a_seed_gives_the_same_bytes_and_another_other_slates(tmp_path: Path) -> None:
    folder = write_retail_folder(tmp_path / "raw", FIRST, SECOND)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        import_online_retail(folder, tmp_path / name, seed=seed)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 5
    for name in names:
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes(), name
    other = read_tables(tmp_path / "c")["impressions"]
    assert not other.equals(read_tables(tmp_path / "a")["impressions"])


def test_slates_do_not_change_when_the_log_grows(tmp_path: Path) -> None:
    later = plain_lines(100, 10, invoice=9000, seed=5)
    _, short = imported(tmp_path / "short", FIRST, SECOND)
    _, long = imported(tmp_path / "long", FIRST, [*SECOND, *later])
    requests = short["impressions"]["request_id"].unique().implode()
    assert short["impressions"].equals(
        long["impressions"].filter(pl.col("request_id").is_in(requests))
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nothing", "no Parquet file"),
        ("no column", "also Price or UnitPrice"),
        ("wrong type", "Quantity"),
        ("no rows", "has no rows"),
        ("no parquet", "cannot be read"),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, fault: str, message: str) -> None:
    folder = tmp_path / "raw"
    path = write_retail_folder(folder, FIRST, SECOND) / "year_1.parquet"
    frame = pl.read_parquet(path)
    if fault == "nothing":
        for file in folder.iterdir():
            file.unlink()
    elif fault == "no parquet":
        path.write_bytes(b"no parquet")
    else:
        {
            "no column": frame.drop("Price"),
            "wrong type": frame.with_columns(pl.lit("some").alias("Quantity")),
            "no rows": frame.clear(),
        }[fault].write_parquet(path)
    with pytest.raises(DataError, match=message):
        import_online_retail(folder, tmp_path / "ws")
    assert not (tmp_path / "ws").exists()


def test_a_log_without_any_repeat_customer_is_refused(tmp_path: Path) -> None:
    lines = [line(3000 + i, i, customer=i + 1.0) for i in range(5)]
    folder = write_retail_folder(tmp_path / "raw", lines, [line(4000, 9, customer=99.0)])
    with pytest.raises(DataError, match="no rows are left for the table impressions"):
        import_online_retail(folder, tmp_path / "ws")


@pytest.mark.slow
@pytest.mark.skipif(
    REAL_FOLDER not in os.environ,
    reason=f"needs the files of Online Retail II in the folder that {REAL_FOLDER} names",
)
def test_the_whole_data_set_becomes_a_workspace(tmp_path: Path) -> None:
    report = import_online_retail(Path(os.environ[REAL_FOLDER]), tmp_path / "ws")
    assert_is_workspace(tmp_path / "ws", report)
    assert sum(report.ledgers[0].read.values()) == 525_461 + 531_282
    assert rows_for(report, "sale lines", "later file") == 22_130
    candidates = report.tables["impressions"] / report.ledgers[2].kept
    assert 92 < candidates < 94
