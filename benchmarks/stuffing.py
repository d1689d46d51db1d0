"""How far a title full of popular words moves an item up, with and without the template's limits.

In slates of the validation period, one candidate that was not taken gets a stuffed title; its place
among the others is read from the interest match of the frozen encoder. The last line is JSON.

    python benchmarks/stuffing.py WORKSPACE [--slates 100]
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.items import Items
from recsys.dataset import read_slates
from recsys.ranking_rows import Texts, encode_texts
from recsys.split import periods
from recsys.text.head import InterestModel
from recsys.text.settings import TextLimits
from recsys.text.signals import TextSignals
from recsys.text.template import item_texts
from recsys.train import signals_of
from recsys.workspace import Workspace
from recsys.workspace_features import open_workspace_log

NONE = TextLimits(title_words=10**6, column_words=10**6, word_repeats=10**6)


def stuffings(titles: Sequence[str]) -> dict[str, str]:
    """Make what is put behind a title, from the commonest words of more than three letters."""
    words = Counter(word.lower() for title in titles for word in title.split() if len(word) > 3)
    common = [word for word, _ in words.most_common(60)]
    return {
        "nothing": "",
        "one common word 60 times": " ".join(common[:1] * 60),
        "five common words 12 times each": " ".join(common[:5] * 12),
        "sixty common words": " ".join(common),
    }


def places(
    workspace: Workspace, texts: Texts, signals: TextSignals, limits: TextLimits, count: int
) -> dict[str, list[float]]:
    """Give the place of the stuffed candidate, from 0 at the top to 1, per stuffing and slate."""
    config = workspace.config
    log = open_workspace_log(workspace)
    split = periods(config.split, config.labels.attribution_window_hours)
    slates = read_slates(workspace, log, texts.queries, split.validation, signals.newest).slates
    items = workspace.scan("items").collect()
    title = Items.title.name
    random = np.random.default_rng(0)
    added = stuffings(items[title].to_list())
    found: dict[str, list[float]] = {name: [] for name in added}
    for request in random.permutation(len(slates))[:count]:
        span = slice(int(slates.rows.offsets[request]), int(slates.rows.offsets[request + 1]))
        item = slates.rows.item[span].copy()
        losers = np.flatnonzero((slates.grade[span] == 0) & (item >= 0))
        if not len(losers):
            continue
        chosen = int(random.choice(losers))
        row = items[[int(item[chosen])]]
        item[chosen] = -1
        stuffed = pl.concat(
            [row.with_columns(pl.col(title) + " " + words) for words in added.values()]
        )
        vectors = texts.backend.encode(item_texts(stuffed, config.text.template, limits).to_list())
        for name, vector in zip(added, vectors, strict=True):
            match = signals.read(
                item,
                {chosen: vector},
                slates.history.take(np.array([request])),
                int(slates.rows.request_time[request]),
                None,
            )[:, 0]
            found[name].append(float((match > match[chosen]).sum() / max(len(item) - 1, 1)))
    return found


def main() -> None:
    """Measure and print, with one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--slates", type=int, default=100)
    arguments = parser.parse_args()
    workspace = Workspace.open(arguments.workspace)
    texts = encode_texts(workspace)
    kinds = len(open_workspace_log(workspace).interactions.kinds)
    model = InterestModel(texts.encoder.dim, kinds, 0.0)
    signals = signals_of(model, texts.vectors.items, workspace.config.text)
    result: dict[str, dict[str, float]] = {}
    for name, limits in (("without limits", NONE), ("with limits", workspace.config.text.limits)):
        found = places(workspace, texts, signals, limits, arguments.slates)
        result[name] = {how: round(float(np.mean(where)), 4) for how, where in found.items()}
        print(name, result[name])
    print(
        json.dumps(
            {
                "benchmark": "stuffing",
                "data": workspace.config.name,
                "slates": arguments.slates,
                "mean_place_0_is_first": result,
            }
        )
    )


if __name__ == "__main__":
    main()
