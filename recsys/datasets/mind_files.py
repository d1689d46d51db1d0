"""The two tab separated files of MIND: no header, no quoting, one fixed number of columns."""

from pathlib import Path

import polars as pl

from data_contracts.errors import DataError
from data_contracts.events import Impressions
from data_contracts.items import Items

NEWS_FILE = "news.tsv"
BEHAVIOURS_FILE = "behaviors.tsv"
TIME_FORMAT = "%m/%d/%Y %I:%M:%S %p"

SUBCATEGORY = "subcategory"
HISTORY = "history"
SHOWN = "shown"

_NEWS_COLUMNS = (
    Items.item_id.name,
    Items.category.name,
    SUBCATEGORY,
    Items.title.name,
    Items.description.name,
    "url",
    "title entities",
    "abstract entities",
)
_BEHAVIOUR_COLUMNS = (
    Impressions.request_id.name,
    Impressions.user_id.name,
    Impressions.timestamp.name,
    HISTORY,
    SHOWN,
)


def read_news(source: Path) -> pl.DataFrame:
    """Read id, category, subcategory, title and abstract; null where a field is empty.

    A `DataError` names the file and the line that does not fit.
    """
    return _read_lines(source / NEWS_FILE, _NEWS_COLUMNS).select(_NEWS_COLUMNS[:5])


def read_behaviours(source: Path) -> pl.DataFrame:
    """Read impressions with the time in UTC and lists of the ids clicked before and shown.

    Args:
        source: Folder of the file.

    Returns:
        request_id, user_id, timestamp, `HISTORY` and `SHOWN`; shown ids still carry their label.

    Raises:
        DataError: The file is missing, empty or has a line that does not fit.
    """
    path = source / BEHAVIOURS_FILE
    time = Impressions.timestamp
    texts = _read_lines(path, _BEHAVIOUR_COLUMNS)
    rows = texts.with_columns(
        time.col.str.to_datetime(TIME_FORMAT, time_unit="us", time_zone="UTC", strict=False),
        *(
            pl.col(name).fill_null("").str.extract_all(r"\S+").alias(name)
            for name in (HISTORY, SHOWN)
        ),
    )
    unread = rows[time.name].is_null().arg_true()
    if unread.len():
        line = unread[0]
        raise DataError(
            f"{path}, line {line + 1}: time {texts[time.name][line]!r}",
            "a time as `11/12/2019 2:14:46 PM`",
            "correct this line",
        )
    return rows


def _read_lines(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    """Read a file whose every line has one field for each of `columns`."""
    _check_lines(path, columns)
    try:
        return pl.read_csv(
            path,
            separator="\t",
            has_header=False,
            quote_char=None,
            schema=dict.fromkeys(columns, pl.String),
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{path} cannot be read ({str(error).splitlines()[0]})",
            "tab separated text in UTF-8",
            "fetch the file again",
        ) from error


def _check_lines(path: Path, columns: tuple[str, ...]) -> None:
    # The CSV reader fills short lines with nulls in silence and names no line for long ones.
    if not path.is_file():
        raise DataError(
            f"no file {path}",
            f"a folder with {NEWS_FILE} and {BEHAVIOURS_FILE}",
            "give the folder of one part of MIND, unpacked",
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", "at least one line", "fetch the file again")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            fields = line.count(b"\t") + 1
            if fields != len(columns):
                raise DataError(
                    f"{path}, line {number}: {fields} fields",
                    f"{len(columns)} fields apart by tabs: {', '.join(columns)}",
                    "correct this line, or fetch the file again",
                )
