"""Contract of served features: rows a server's ranker got, for parity with the backfill."""

import dataframely as dy

from data_contracts.names import IdColumn


class ServedFeatures(dy.Schema):
    """One row a candidate of a served request, with the features the ranker got."""

    request_id = IdColumn("The ranking call.", primary_key=True)
    item_id = IdColumn("The candidate.", primary_key=True)
    schema_hash = dy.String(
        nullable=False,
        min_length=1,
        description="Hash of the declared features, which says what each value is.",
    )
    values = dy.List(
        dy.Float32(nullable=True),
        nullable=False,
        min_length=1,
        description="The features in the order of their declaration; null or NaN where missing.",
    )
