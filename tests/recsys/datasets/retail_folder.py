"""A small folder in the format of Online Retail II, with the warts of the real one."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

FIRST_NAMES = (
    "Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID",
    "Country",
)  # fmt: skip
SECOND_NAMES = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
)  # fmt: skip
START = datetime(2009, 12, 1, 9)
Line = tuple[str, str, str | None, int, str, float, float | None]


def line(
    invoice: int | str,
    day: float,
    code: str = "20001",
    *,
    title: str | None = "RED MUG",
    quantity: int = 1,
    price: float = 2.0,
    customer: float | None = 1.0,
) -> Line:
    """One sale line, `day` days after the start."""
    time = f"{START + timedelta(days=day):%Y-%m-%d %H:%M:%S}"
    return str(invoice), code, title, quantity, time, price, customer


def plain_lines(
    first_day: int, days: int, *, invoice: int, customers: int = 6, seed: int = 0
) -> list[Line]:
    """Two invoices a day of ten items each, out of 150 products, without any wart."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(2 * days):
        customer = float(rng.integers(1, customers + 1))
        for product in rng.choice(150, size=10, replace=False):
            code = str(20000 + product)
            lines.append(
                line(
                    invoice + number,
                    first_day + number / 2,
                    code,
                    title=f"ITEM  {product} ",
                    price=1.0 + product,
                    customer=customer,
                )
            )
    return lines


def write_retail_folder(path: Path, first: list[Line], second: list[Line]) -> Path:
    """Write both years, each with its own names; invoice numbers of the second are integers."""
    path.mkdir(parents=True)
    for name, names, lines in (
        ("year_1.parquet", FIRST_NAMES, first),
        ("year_2.parquet", SECOND_NAMES, second),
    ):
        rows = [(*row, "United Kingdom") for row in lines]
        frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
        if names is SECOND_NAMES:
            frame = frame.with_columns(pl.col(names[0]).cast(pl.Int64))
        frame.with_columns(pl.col(names[5], names[6]).cast(pl.Float64)).write_parquet(path / name)
    return path
