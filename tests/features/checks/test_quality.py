"""What is told of features' quality, on rows whose answer is worked out by hand."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_contracts.errors import DataError
from features.checks.quality import ColumnQuality, QualityReport, feature_quality
from features.feature_set import FeatureSet
from features.kinds.context import Given

NAN = math.nan
START = datetime(2026, 1, 30, tzinfo=UTC)
END = datetime(2026, 2, 1, 12, tzinfo=UTC)
FEATURES = FeatureSet((Given("a"), Given("b")))


def write(folder: Path, moment: datetime, a: Sequence[float], b: Sequence[float]) -> None:
    """Write a day's file: one row a second."""
    times = [moment + timedelta(seconds=place) for place in range(len(a))]
    rows = pl.DataFrame(
        {"timestamp": times, "given_a": a, "given_b": b},
        schema={
            "timestamp": pl.Datetime("us", "UTC"),
            "given_a": pl.Float32,
            "given_b": pl.Float32,
        },
    )
    path = folder / f"{moment:%Y-%m-%d}.parquet"
    if path.exists():
        rows = pl.concat([pl.read_parquet(path), rows])
    rows.write_parquet(path)


def quality(folder: Path) -> QualityReport:
    return feature_quality(folder, FEATURES, "tiny", START, END)


@pytest.fixture
def report(tmp_path: Path) -> QualityReport:
    write(tmp_path, START - timedelta(days=1), [99.0], [99.0])
    write(tmp_path, START, [0, 0, 1, 2], [NAN] * 4)
    write(tmp_path, END.replace(hour=0), [3, NAN], [NAN] * 2)
    write(tmp_path, END, [0, 0, 0, 1], [1.0] * 4)
    write(tmp_path, datetime(2026, 3, 5, tzinfo=UTC), [NAN, 2], [NAN] * 2)
    write(tmp_path, datetime(2026, 3, 9, tzinfo=UTC), [NAN, NAN], [NAN] * 2)
    return quality(tmp_path)


def test_the_training_window_is_summed_up(report: QualityReport) -> None:
    a = report.columns[0]
    assert report.rows == 6
    assert a.missing == pytest.approx(1 / 6)
    assert a.coverage == pytest.approx(5 / 6)
    assert (a.zeros, a.distinct) == (2 / 5, 4)
    assert (a.low, a.mean, a.high) == (0, (0 + 0 + 1 + 2 + 3) / 5, 3)
    assert a.deviation == pytest.approx(np.std([0, 0, 1, 2, 3]))
    assert a.quantiles["0.5"] == 1
    assert a.meaning.startswith("`a`")


def test_each_later_month_is_compared_with_it(report: QualityReport) -> None:
    a = report.columns[0]
    february, march = a.periods
    assert [(p.period, p.rows) for p in a.periods] == [("2026-02", 4), ("2026-03", 4)]
    assert (february.missing, march.missing) == (0, 3 / 4)
    assert (february.mean, march.mean) == (1 / 4, 2)
    # Bins up to 0, 1, 2, above, and missing: 2, 1, 1, 1, 1 of 6 against 3, 1, 0, 0, 0 of 4.
    p = [(n + 0.5) / (6 + 2.5) for n in (2, 1, 1, 1, 1)]
    for period, counts in ((february, (3, 1, 0, 0, 0)), (march, (0, 0, 1, 0, 3))):
        q = [(n + 0.5) / (4 + 2.5) for n in counts]
        expected = sum((y - x) * math.log(y / x) for x, y in zip(p, q, strict=True))
        assert period.psi == pytest.approx(expected)
    assert a.worst == march
    assert a.fault == "differs"


def test_a_column_without_values_says_so_and_stands_first(report: QualityReport) -> None:
    b = report.columns[1]
    assert (b.missing, b.distinct, b.fault, b.bars) == (1, 0, "always missing", None)
    assert math.isnan(b.mean)
    assert [c.name for c in report.worst_first] == ["given_b", "given_a"]


def test_bars_hold_the_middle_of_both_distributions(report: QualityReport) -> None:
    bars = report.columns[0].bars
    assert bars is not None
    assert len(bars.edges) == len(bars.training) + 1 == len(bars.latest) + 1
    assert sum(bars.training) == pytest.approx(1)
    assert (bars.edges[0], bars.edges[-1]) == (0, 3)


def test_the_report_is_read_again_as_it_was(report: QualityReport) -> None:
    text = report.model_dump_json()
    again = QualityReport.model_validate_json(text)
    assert again.model_dump_json() == text
    assert again.columns[0] == report.columns[0]


def test_a_constant_is_named_but_not_a_rare_value(tmp_path: Path) -> None:
    write(tmp_path, START, [2.0] * 3, [2.0, NAN, 2.0])
    columns: dict[str, ColumnQuality] = {c.name: c for c in quality(tmp_path).columns}
    assert columns["given_a"].fault == "constant"
    assert columns["given_b"].fault == ""
    assert columns["given_a"].worst is None


@pytest.mark.parametrize("later", [0.5, 1.5])
def test_a_rate_above_1_in_any_period_fails(report: QualityReport, later: float) -> None:
    a, b = report.columns
    period = a.periods[0].model_copy(update={"high": later})
    rate = a.model_copy(update={"is_rate": True, "high": 1.0, "periods": (period,)})
    found = report.model_copy(update={"columns": (b, rate)})
    report.require_rates()
    if later <= 1:
        found.require_rates()
        return
    assert rate.fault == "above 1"
    with pytest.raises(DataError, match=r"given_a 1\.50"):
        found.require_rates()


def test_no_row_of_the_training_window_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, END + timedelta(days=1), [1.0], [1.0])
    with pytest.raises(DataError, match="training window"):
        quality(tmp_path)
