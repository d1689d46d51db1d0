"""Feast's part of `baselines.py`; runs in Feast's own environment, not in ours.

    python feast_join.py FOLDER

FOLDER holds `entities.parquet` (the rows, with keys and `event_timestamp`) and `views.json`: per
feature view its key columns, its features, and how long a row holds, in seconds; its rows are in
`<view>.parquet`. Writes `joined.parquet` and prints what the join alone cost as JSON.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path
from time import perf_counter, process_time

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.infra.offline_stores.duckdb import DuckDBOfflineStoreConfig
from feast.infra.online_stores.sqlite import SqliteOnlineStoreConfig
from feast.types import Int64
from feast.value_type import ValueType


def main() -> None:
    """Register the views and join them to the rows."""
    folder = Path(sys.argv[1])
    views = json.loads((folder / "views.json").read_text(encoding="utf-8"))
    store = FeatureStore(
        config=RepoConfig(
            project="baseline",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store=DuckDBOfflineStoreConfig(),
            online_store=SqliteOnlineStoreConfig(path=str(folder / "online.db")),
            entity_key_serialization_version=3,
        )
    )
    keys = sorted({key for view in views.values() for key in view["keys"]})
    entities = {key: Entity(name=key, join_keys=[key], value_type=ValueType.INT64) for key in keys}
    declared = [
        FeatureView(
            name=name,
            entities=[entities[key] for key in view["keys"]],
            ttl=timedelta(seconds=view["holds_seconds"]),
            schema=[Field(name=each, dtype=Int64) for each in (*view["keys"], *view["features"])],
            source=FileSource(
                path=str(folder / f"{name}.parquet"), timestamp_field="event_timestamp"
            ),
        )
        for name, view in views.items()
    ]
    store.apply([*entities.values(), *declared])
    rows = pd.read_parquet(folder / "entities.parquet")
    wanted = [f"{name}:{each}" for name, view in views.items() for each in view["features"]]
    started, cpu = perf_counter(), process_time()
    joined = store.get_historical_features(entity_df=rows, features=wanted).to_arrow()
    cost = {"seconds": perf_counter() - started, "cpu_seconds": process_time() - cpu}
    pq.write_table(joined, folder / "joined.parquet")
    print(json.dumps(cost))


if __name__ == "__main__":
    main()
