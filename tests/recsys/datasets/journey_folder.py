"""A small folder in the format of Complete Journey's package, with the warts of the real one."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

START = datetime(2017, 1, 1, 12)
STORES = (295, 31401)
STORE_WITHOUT_PROMOTIONS = 7
NO_PRODUCTS = {901: ("FUEL", "FUEL"), 902: ("GROCERY", "COUPON/MISC ITEMS")}
FOODS = {903: ("GROCERY", "CRACKERS/MISC BKD FD"), 904: ("GROCERY", "MISC. DAIRY")}
NEVER_LISTED = 990

Product = tuple[int, int, str, str, str | None, str | None, str | None]
Sale = tuple[int, int, int, int, int, float, int, datetime]
Promotion = tuple[int, int, str, str, int]


@dataclass
class JourneyFolder:
    """Rows of the three files, to be changed by a test and written."""

    products: list[Product] = field(default_factory=list)
    sales: list[Sale] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)

    def sell(
        self,
        basket: int,
        product: int,
        *,
        household: int = 1,
        store: int = STORES[0],
        quantity: int = 1,
        value: float = 2.0,
        day: int = 0,
    ) -> None:
        """Add a line, `day` days after the start."""
        time = START + timedelta(days=day)
        sale = household, store, basket, product, quantity, value, 1 + day // 7, time
        self.sales.append(sale)

    def write(self, path: Path) -> Path:
        path.mkdir(parents=True)
        pl.DataFrame(
            self.products,
            schema=(
                "product_id", "manufacturer_id", "department", "brand", "product_category",
                "product_type", "package_size",
            ),
            orient="row",
        ).write_parquet(path / "products.parquet")  # fmt: skip
        pl.DataFrame(
            self.sales,
            schema=(
                "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value",
                "week", "transaction_timestamp",
            ),
            orient="row",
        ).with_columns(pl.col("transaction_timestamp").dt.cast_time_unit("ns")).write_parquet(
            path / "transactions.parquet"
        )  # fmt: skip
        pl.DataFrame(
            self.promotions,
            schema=("product_id", "store_id", "display_location", "mailer_location", "week"),
            orient="row",
        ).write_parquet(path / "promotions.parquet")
        return path


def journey(
    *, households: int = 8, products: int = 120, baskets: int = 60, seed: int = 0
) -> JourneyFolder:
    """Baskets of six products; each store promotes half of them every week."""
    rng = np.random.default_rng(seed)
    made = JourneyFolder()
    for product in range(1, products + 1):
        brand = "Private" if product % 3 else "National"
        text = f"CATEGORY {product % 7}", f"TYPE  {product % 20}", f"{product} OZ"
        made.products.append((product, product % 11, "GROCERY", brand, *text))
    for product, (department, category) in (NO_PRODUCTS | FOODS).items():
        made.products.append((product, 1, department, "National", category, "SOME TYPE", None))
    for number in range(baskets):
        household, store = int(rng.integers(1, households + 1)), STORES[int(rng.integers(2))]
        for product in rng.choice(np.arange(1, products + 1), size=6, replace=False):
            value = float(product) / 10
            made.sell(
                10**9 + number,
                int(product),
                household=household,
                store=store,
                value=value,
                day=number,
            )
    for week in range(1, 2 + baskets // 7):
        for store in STORES:
            promoted = rng.choice(np.arange(1, products + 1), size=products // 2, replace=False)
            made.promotions += [(int(product), store, "0", "A", week) for product in promoted]
    return made
