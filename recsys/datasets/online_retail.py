"""UCI Online Retail II: the purchases of a UK online gift shop, 2009-12 to 2011-12.

Chen, D. (2019). Online Retail II. UCI Machine Learning Repository. Licence CC BY 4.0.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Interactions
from data_contracts.items import Items
from data_contracts.progress import Track, silent
from features.settings import FeatureSettings
from recsys.datasets.ledger import ImportReport, Ledger, Tally
from recsys.datasets.online_retail_slates import draw_slates
from recsys.datasets.parquet import SourceColumn, read_source
from recsys.datasets.sampling import with_request
from recsys.datasets.versions import DAY, versions_of_days
from recsys.datasets.write import check_target, write_workspace
from recsys.labels.grades import LabelSettings
from recsys.labels.split import SplitSettings
from recsys.text.settings import TextSettings
from recsys.workspace.config import WorkspaceConfig

SHOP_ZONE = "Europe/London"
KIND = "purchase"
UNKNOWN_LISTING = timedelta(days=90)
_PRODUCT_CODE = r"^(\d{5}[A-Z]*|DCGS[A-Z0-9]+|SP\d+|PADS)$"

_INVOICE = Interactions.session_id
_ITEM = Interactions.item_id
_USER = Interactions.user_id
_TIME = Interactions.timestamp
_PRICE = Interactions.value
_TITLE = Items.title
_CODE = "code as written"
_QUANTITY = "quantity"
_FILE = "file number"
_DESCRIPTIONS = "descriptions"
_UNTITLED = "untitled"

# The files name three columns differently.
_SOURCE_COLUMNS: dict[str, SourceColumn] = {
    _INVOICE.name: (pl.String, "Invoice", "InvoiceNo"),
    _CODE: (pl.String, "StockCode"),
    _TITLE.name: (pl.String, "Description"),
    _QUANTITY: (pl.Int64, "Quantity"),
    _TIME.name: (pl.String, "InvoiceDate"),
    _PRICE.name: (pl.Float64, "Price", "UnitPrice"),
    _USER.name: (pl.Float64, "Customer ID", "CustomerID"),
}

_NOTE = (
    "UCI Online Retail II (Chen, D., 2019, UCI Machine Learning Repository, CC BY 4.0). The log "
    "holds purchases only: the slates are sampled around what was bought, so figures compare "
    "models and say nothing of what users saw. Times are read as local time of the shop. An item "
    "has the title and price last seen before the day, on its first day those of that day. Some "
    "buyers are wholesalers."
)


def import_online_retail(
    source: Path,
    target: Path,
    *,
    seed: int = 0,
    keep_guests: bool = False,
    overwrite: bool = False,
    track: Track = silent,
) -> ImportReport:
    """Make a workspace of the Parquet files of Online Retail II.

    A source that lacks a file or a column is a `DataError`, and a target that `check_target`
    refuses a `UsageError`; nothing is written then.

    Args:
        source: Folder with the Parquet files; the later year's name sorts last.
        target: The workspace to make.
        seed: Seed of the sampled slates.
        keep_guests: Whether lines without a customer become interactions without a user; they
            then count for popularity. Otherwise they are set aside.
        overwrite: Whether an existing workspace may be replaced.
        track: Shows progress.

    Returns:
        Account of the rows read, kept and set aside.
    """
    check_target(target, source, overwrite=overwrite)
    files = _read_files(source)
    lines, line_ledger = _clean(files, keep_guests=keep_guests)
    items, item_ledger = _items(lines)
    purchases = _purchases(lines)
    impressions, slate_ledger = draw_slates(purchases, seed=seed, track=track)
    return write_workspace(
        target,
        _config(),
        items,
        impressions,
        with_request(purchases, impressions),
        (line_ledger, item_ledger, slate_ledger),
    )


def _config() -> WorkspaceConfig:
    return WorkspaceConfig(
        name="Online Retail II",
        data_origin="real",
        slate_source="sampled",
        note=_NOTE,
        labels=LabelSettings(grades={KIND: 1}, label_gain=(0, 1), attribution_window_hours=1),
        split=SplitSettings(
            text_end=datetime(2011, 6, 1, tzinfo=UTC),
            ranker_end=datetime(2011, 9, 15, tzinfo=UTC),
            validation_end=datetime(2011, 10, 1, tzinfo=UTC),
        ),
        features=FeatureSettings(timezone=SHOP_ZONE, attributes=()),
        text=TextSettings(template=(_TITLE.name,)),
    )


def _read_files(source: Path) -> dict[str, pl.DataFrame]:
    paths = sorted(source.glob("*.parquet"))
    if not paths:
        raise DataError(
            f"no Parquet file in {source}",
            "the Parquet files of Online Retail II, one a year",
            "give the folder that holds them",
        )
    return {path.name: read_source(path, _SOURCE_COLUMNS) for path in paths}


def _clean(files: dict[str, pl.DataFrame], *, keep_guests: bool) -> tuple[pl.DataFrame, Ledger]:
    """Set aside what is no sale of a product, and bring the rest to the types of the contract.

    Lines to be merged are counted, but still apart: titles and prices are found among all lines.
    """
    tally = Tally("sale lines", {name: frame.height for name, frame in files.items()})
    lines = pl.concat(
        frame.with_columns(pl.lit(i).alias(_FILE)) for i, frame in enumerate(files.values())
    )
    in_later_file = pl.col(_FILE) < pl.col(_FILE).max().over(_INVOICE.name)
    lines = tally.set_aside(lines, in_later_file, "invoice that a later file holds too")
    lines = lines.drop(_FILE).with_columns(_in_contract_types())
    for where, reason in _no_sales():
        lines = tally.set_aside(lines, where, reason)
    if keep_guests:
        tally.changed(lines, _USER.col.is_null(), "no customer: kept without a user")
    else:
        lines = tally.set_aside(lines, _USER.col.is_null(), "no customer")
    tally.changed(lines, pl.col(_CODE) != _ITEM.col, "code written in lower case or with spaces")
    first_time = _TIME.col.min().over(_INVOICE.name)
    tally.changed(lines, _TIME.col != first_time, "later than its invoice: takes the first time")
    lines = lines.with_columns(first_time)
    again = ~pl.struct(_INVOICE.name, _ITEM.name).is_first_distinct()
    kept = tally.set_aside(lines, again, "merged into the line of the same invoice and item")
    return lines, tally.close(kept.height)


def _in_contract_types() -> list[pl.Expr]:
    # Customer 0 means none in the second file.
    user = _USER.col.fill_nan(None).cast(pl.Int64).replace(0, None).cast(pl.String)
    local = _TIME.col.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    return [
        user,
        pl.col(_CODE).str.strip_chars().str.to_uppercase().alias(_ITEM.name),
        _TITLE.col.str.strip_chars().str.replace_all(r"\s+", " "),
        local.dt.replace_time_zone(
            SHOP_ZONE, ambiguous="earliest", non_existent="null"
        ).dt.convert_time_zone("UTC"),
    ]


def _no_sales() -> list[tuple[pl.Expr, str]]:
    """Tell the lines that are no sale of a product, each with the reason; the first one counts."""
    is_invoice = _INVOICE.col.str.contains(r"^\d").fill_null(value=False)
    is_product = _ITEM.col.str.contains(_PRODUCT_CODE).fill_null(value=False)
    has_price = (_PRICE.col.is_finite() & (_PRICE.col > 0)).fill_null(value=False)
    return [
        (_INVOICE.col.str.starts_with("C"), "cancelled invoice or return (number starts with C)"),
        (~is_invoice, "entry of the accounts, not an invoice"),
        (pl.col(_QUANTITY).fill_null(0) < 1, "quantity below 1: correction of the stock"),
        (~has_price, "no price: note of the stock, or given away"),
        (~is_product, "code that is no product (postage, fees, ...)"),
        (_TIME.col.is_null(), "time that cannot be read"),
    ]


def _items(lines: pl.DataFrame) -> tuple[pl.DataFrame, Ledger]:
    """Describe each product, day by day, by what its lines said until then."""
    item, title, of_item_and_day = _ITEM.name, _TITLE.name, [_ITEM.name, DAY]
    known_from = lines.select(_TIME.col.min() + UNKNOWN_LISTING).item()
    lines = lines.with_columns(_TIME.col.dt.truncate("1d").alias(DAY))
    first = _TIME.col.min().over(item)
    days = (
        lines.group_by(of_item_and_day)
        .agg(_PRICE.col.median().alias(Items.price.name), _TIME.col.min())
        .join(_titles(lines), on=of_item_and_day, how="left")
        .sort(of_item_and_day)
        .with_columns(
            _TITLE.col.is_null().alias(_UNTITLED),
            _TITLE.col.forward_fill().over(item).fill_null(""),
            pl.when(first >= known_from).then(first.dt.truncate("1d")).alias(Items.listed_at.name),
        )
    )
    tally = Tally("item versions", {"days on which an item was sold": days.height})
    several = pl.col(_DESCRIPTIONS) > 1
    tally.changed(days, several, "several descriptions: the most frequent one, then the latest")
    kept = pl.col(_UNTITLED) & (_TITLE.col != "")
    tally.changed(days, kept, "no description: the one last seen")
    tally.changed(days, _TITLE.col == "", "no description so far: without text")
    versions = versions_of_days(days, (title, Items.price.name), tally)
    return versions, tally.close(versions.height)


def _titles(lines: pl.DataFrame) -> pl.DataFrame:
    """Give each product's most frequent good description of each day, and how many it had."""
    of_item_and_day = [_ITEM.name, DAY]
    good = lines.filter(
        _TITLE.col.str.contains("[A-Za-z]{3}") & (_TITLE.col != "Missing_Description")
    )
    return (
        good.group_by(*of_item_and_day, _TITLE.name)
        .agg(pl.len().alias("times"), _TIME.col.max())
        .sort("times", _TIME.name, _TITLE.name, descending=[True, True, False])
        .group_by(of_item_and_day, maintain_order=True)
        .agg(_TITLE.col.first(), pl.len().alias(_DESCRIPTIONS))
    )


def _purchases(lines: pl.DataFrame) -> pl.DataFrame:
    """One interaction an invoice and item, at the average price of a unit, in order of time."""
    spent = (_PRICE.col * pl.col(_QUANTITY)).sum() / pl.col(_QUANTITY).sum()
    return (
        lines.group_by(_INVOICE.name, _ITEM.name)
        .agg(_USER.col.first(), _TIME.col.first(), spent.alias(_PRICE.name))
        .with_columns(
            pl.format("{}-{}", _INVOICE.col, _ITEM.col).alias(Interactions.event_id.name),
            pl.lit(KIND).alias(Interactions.kind.name),
        )
        .sort(_TIME.name, Interactions.event_id.name)
    )
