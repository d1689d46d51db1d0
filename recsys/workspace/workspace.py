"""A workspace: a folder with `recsys.toml`, its tables, and what is computed from them."""

from dataclasses import dataclass, replace
from pathlib import Path

import dataframely as dy
import numpy as np
import polars as pl

from data_contracts.events import Impressions, Interactions
from data_contracts.items import Items
from data_contracts.reading import scan_table, with_columns
from features.backfill.run import ROWS, STATE
from recsys.workspace.config import CONFIG_NAME, WorkspaceConfig, read_config

TABLES = ("items", "impressions", "interactions")


@dataclass(frozen=True)
class Workspace:
    """Where the tables of one data set are and where its results go.

    Attributes:
        root: The folder.
        config: What its `recsys.toml` says.
        launch: Folder within the root for the features of a log without some items; the workspace's
            own features when it is empty.
    """

    root: Path
    config: WorkspaceConfig
    launch: str = ""

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """Read the configuration of an existing workspace.

        Args:
            root: The folder; if relative, to the working directory of now, whatever it is later.

        Returns:
            The workspace; its tables are not opened yet.

        Raises:
            DataError: There is no readable `recsys.toml`.
        """
        root = root.absolute()
        return cls(root, read_config(root / CONFIG_NAME))

    @property
    def features(self) -> Path:
        """Folder of a backfill: the opened log, rows, snapshots, carried state and final state."""
        return self.root / self.launch / "features"

    @property
    def rows(self) -> Path:
        """Folder of the feature rows, a Parquet file a day."""
        return self.features / ROWS

    @property
    def state(self) -> Path:
        """Folder of the feature state as of the midnight after the log."""
        return self.features / STATE

    @property
    def cache(self) -> Path:
        """Folder of text vectors and exported encoders, by the encoder's fingerprint."""
        return self.root / "cache"

    @property
    def bundles(self) -> Path:
        """Folder of the trained bundles, by name."""
        return self.root / "bundles"

    def bundle(self, seed: int = 0) -> Path:
        """Folder of a seed's bundle: `current` for seed 0, `seed-N` for the others."""
        return self.bundles / ("current" if seed == 0 else f"seed-{seed}")

    def text_model(self, seed: int) -> Path:
        """Folder of the text model that `recsys train encoder` leaves for a seed."""
        return self.root / "text_models" / f"seed-{seed}"

    def text_training(self, seed: int) -> Path:
        """Folder of the checkpoint and the learning curve of a seed's text model."""
        return self.root / "training" / f"seed-{seed}"

    def cold(self, share: float) -> "Workspace":
        """Give the same tables another place for features: of a launch of a share of the items."""
        return replace(self, launch=f"cold/share-{share:g}")

    @property
    def reports(self) -> Path:
        """Folder of reports, as JSON and HTML."""
        return self.root / "reports"

    @property
    def verdict(self) -> Path:
        """File that tells which tables and settings were found without errors."""
        return self.root / "verdict.json"

    @property
    def rejected(self) -> Path:
        """Folder of the rows that break a rule, with their reasons."""
        return self.root / "rejected"

    def contract(self, table: str) -> type[dy.Schema]:
        """Give the contract of a table by name, with the declared attributes for items."""
        if table != "items":
            return {"impressions": Impressions, "interactions": Interactions}[table]
        largest = float(np.finfo(np.float32).max)
        extra = {
            name: dy.String(nullable=True)
            if kind == "text"
            else dy.Float64(nullable=True, min=-largest, max=largest)
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
            DataError: The table is missing, empty, or lacks a column, a declared one included.
        """
        declared = self.config.attributes if table == "items" else ()
        return scan_table(self.location(table), self.contract(table), declared)
