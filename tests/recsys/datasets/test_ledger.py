import polars as pl
import pytest

from recsys.datasets.ledger import EXAMPLE_LENGTH, ImportReport, Tally


def test_every_row_is_kept_or_counted_under_its_first_reason() -> None:
    frame = pl.DataFrame({"n": [1, 2, 3, 4, None]})
    tally = Tally("numbers", {"a": 2, "b": 3})
    kept = tally.set_aside(frame, pl.col("n") > 2, "large")
    kept = tally.set_aside(kept, pl.col("n").is_null() | (pl.col("n") > 3), "null or very large")
    kept = tally.set_aside(kept, pl.col("n") < 0, "never")
    tally.changed(kept, pl.col("n") == 2, "two")
    ledger = tally.close(kept.height)
    assert [(count.reason, count.rows) for count in ledger.set_aside] == [
        ("large", 2),
        ("null or very large", 1),
    ]
    assert [(count.reason, count.rows, count.example) for count in ledger.changed] == [
        ("two", 1, "n=2")
    ]
    assert kept["n"].to_list() == [1, 2]


def test_a_condition_that_is_null_keeps_the_row() -> None:
    frame = pl.DataFrame({"n": [None, 1]}, schema={"n": pl.Int64})
    assert Tally("numbers", {"a": 2}).set_aside(frame, pl.col("n") == 1, "one").height == 1


def test_a_lost_row_is_an_error() -> None:
    frame = pl.DataFrame({"n": [1, 2, 3]})
    tally = Tally("numbers", {"a": 3})
    kept = tally.set_aside(frame, pl.col("n") == 1, "one")
    with pytest.raises(ValueError, match=r"3 read, but 1 kept \+ 1 set aside"):
        tally.close(kept.height - 1)


def test_the_report_lists_each_count_once() -> None:
    frame = pl.DataFrame({"text": ["x" * 500, "y"]})
    tally = Tally("texts", {"file": 2})
    kept = tally.set_aside(frame, pl.col("text").str.len_chars() > 100, "too long")
    report = ImportReport(
        workspace="w", ledgers=(tally.close(kept.height),), tables={"items": kept.height}
    )
    assert [(what, fate, rows) for what, fate, rows, _ in report.rows()] == [
        ("texts", "read from file", 2),
        ("texts", "kept", 1),
        ("texts", "set aside: too long", 1),
        ("items", "written", 1),
    ]
    assert all(len(example) <= EXAMPLE_LENGTH for *_, example in report.rows())
