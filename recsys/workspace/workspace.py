"""A workspace: a folder with `recsys.toml`, its tables, and what is computed from them."""

from dataclasses import dataclass
from pathlib import Path

import dataframely as dy
import polars as pl

from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.reading import scan_table, with_columns
from recsys.workspace.config import CONFIG_NAME, WorkspaceConfig, read_config

TABLES = ("items", "impressions", "interactions")
CACHE = "cache"
"""Folder of text vectors and exported encoders, by fingerprint."""


@dataclass(frozen=True)
class Workspace:
    """Where the tables of one data set are and where its results go.

    Attributes:
        root: The folder.
        config: What its `recsys.toml` says.
    """

    root: Path
    config: WorkspaceConfig

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """Read the configuration of an existing workspace.

        Args:
            root: The folder.

        Returns:
            The workspace; its tables are not opened yet.

        Raises:
            DataError: There is no readable `recsys.toml`.
        """
        return cls(root, read_config(root / CONFIG_NAME))

    def contract(self, table: str) -> type[dy.Schema]:
        """Give the contract of a table by name, with the declared attributes for items."""
        if table != "items":
            return {"impressions": Impressions, "interactions": Interactions}[table]
        extra = {
            name: dy.String(nullable=True) if kind == "text" else dy.Float64(nullable=True)
            for name, kind in self.config.attributes.items()
        }
        return with_columns(Items, extra)

    def location(self, table: str) -> str:
        """Give the path or URL of a table."""
        location: str = getattr(self.config.tables, table)
        return location if "://" in location else str(self.root / location)

    def scan(self, table: str) -> pl.LazyFrame:
        """Open `items`, `impressions` or `interactions` as its contract says.

        Args:
            table: Its name.

        Returns:
            The table with the contract's columns.

        Raises:
            DataError: The table is missing, empty, or lacks a column.
        """
        return scan_table(self.location(table), self.contract(table))
