"""How far a stuffed title moves an item, with and without the template's limits.

In slates of the validation period, one candidate that was not taken gets a stuffed title; its place
among the others is read from the match of a trained bundle. Whoever stuffs knows the catalogue's
commonest words and best sellers, and in the last rows the model as well: which words raise its
match most on other slates. The last line is JSON.

    python -m benchmarks.text.stuffing WORKSPACE [--slates 100]
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from data_contracts.events import Interactions
from data_contracts.items import Items
from features.log.catalogue import encode
from features.log.item_columns import KNOWN, SINCE, item_versions
from recsys.bundle.bundle import load_bundle
from recsys.labels.slates import LabelledSlates
from recsys.text.interest import Past
from recsys.text.settings import TextLimits
from recsys.text.signals import TextSignals
from recsys.text.template import item_texts
from recsys.training.data import TrainingData
from recsys.training.texts import Texts
from recsys.workspace.workspace import Workspace

NONE = TextLimits(title_words=10**6, column_words=10**6, word_repeats=10**6)
_SPIED = 20
"""Slates on which words are chosen that raise the match."""


@dataclass(frozen=True)
class Stage:
    """Where titles are stuffed.

    Attributes:
        workspace: The workspace.
        texts: Its texts; the backend encodes stuffed ones.
        signals: Of the trained bundle.
        slates: Of the validation period.
        items: The versions of the items, in the order of the catalogue's.
        version: Version of each row's item as of its request, int32 [n_rows].
    """

    workspace: Workspace
    texts: Texts
    signals: TextSignals
    slates: LabelledSlates
    items: pl.DataFrame
    version: np.ndarray

    def victims(self, count: int, seed: int) -> list[tuple[int, int]]:
        """Draw slates of users with a history, and in each a candidate that was not taken.

        Args:
            count: Slates at the most.
            seed: Of the draw.

        Returns:
            Request and row of each.
        """
        random = np.random.default_rng(seed)
        found = []
        offsets = self.slates.rows.offsets
        there = np.flatnonzero(self.slates.history.lengths)
        for request in random.permutation(there)[:count]:
            rows = np.arange(offsets[request], offsets[request + 1])
            losers = rows[(self.slates.grade[rows] == 0) & (self.version[rows] >= 0)]
            if len(losers):
                found.append((int(request), int(random.choice(losers))))
        return found

    def matches(
        self, request: int, row: int, titles: Sequence[str], limits: TextLimits
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give the match of the slate and that of the candidate with each title instead of its own.

        The candidate remains the item it was, so that its copies in the history stay left out.
        """
        low, high = self.slates.rows.offsets[request : request + 2]
        item, place = self.slates.rows.item[low:high], row - int(low)
        own = self.items[[int(self.version[row])]]
        named = [own.with_columns(pl.lit(title).alias(Items.title.name)) for title in titles]
        template = self.workspace.config.text.template
        vectors = self.texts.backend.encode(
            item_texts(pl.concat(named), template, limits).to_list()
        )
        history = self.slates.history.of(request)
        time = int(self.slates.rows.request_time[request])
        past = Past(history, self.slates.texts_before(request))
        slate = self.signals.read(item, self.slates.text[low:high], {}, past, time, None)
        interest = self.signals.interest
        unknown = np.full(len(titles), -1, np.int32)
        candidates = interest.candidates(unknown, dict(enumerate(vectors)))
        same = np.full(len(titles), item[place], np.int32)
        newest = self.signals.newest_of(past)
        return np.delete(slate, place), interest.match(candidates, same, newest, time, None)

    def title(self, row: int) -> str:
        """Give the title of a row's item."""
        return str(self.items[Items.title.name][int(self.version[row])])


def stuffings(stage: Stage, limits: TextLimits) -> dict[str, str]:
    """Make what is put behind a title."""
    titles = stage.items[Items.title.name].to_list()
    counted = Counter(word.lower() for title in titles for word in title.split() if len(word) > 3)
    common = [word for word, _ in counted.most_common(60)]
    sold = stage.workspace.scan("interactions").group_by(Interactions.item_id.name).len().collect()
    last = stage.items.unique(Items.item_id.name, keep="last")
    best = last.join(sold, on=Items.item_id.name).sort("len", Items.item_id.name, descending=True)
    sellers = best[Items.title.name].head(10).to_list()
    gain = np.zeros(len(common))
    for request, row in stage.victims(_SPIED, seed=1):
        title = stage.title(row)
        wanted = [title, *(f"{title} {word}" for word in common)]
        _, match = stage.matches(request, row, wanted, limits)
        gain += match[1:] - match[0]
    raising = [common[place] for place in np.argsort(-gain)]
    return {
        "nothing": "",
        "one common word 60 times": " ".join(common[:1] * 60),
        "sixty common words": " ".join(common),
        "the title of the best seller": sellers[0],
        "the titles of ten best sellers": " ".join(sellers),
        "the word that raises the match most, 60 times": " ".join(raising[:1] * 60),
        "the three words that raise it most": " ".join(raising[:3]),
        "the twelve words that raise it most": " ".join(raising[:12]),
    }


def places(
    stage: Stage, added: dict[str, str], limits: TextLimits, count: int
) -> dict[str, list[float]]:
    """Give the place of the stuffed candidate, from 0 at the top to 1, per stuffing and slate."""
    found: dict[str, list[float]] = {name: [] for name in added}
    for request, row in stage.victims(count, seed=0):
        title = stage.title(row)
        stuffed = [f"{title} {words}".strip() for words in added.values()]
        others, match = stage.matches(request, row, stuffed, limits)
        for name, value in zip(added, match, strict=True):
            found[name].append(float((others > value).mean()))
    return found


def open_stage(workspace: Workspace) -> Stage:
    """Read the slates and the bundle of the first seed."""
    data = TrainingData.open(workspace)
    signals = data.signals_of(load_bundle(workspace.bundle()).signals)
    slates = data.slates(workspace.config.periods.validation, signals.newest).slates
    versions = item_versions(workspace.scan("items").collect())
    code = encode(versions[Items.item_id.name], data.log.item_ids)
    items = versions[np.lexsort((versions[KNOWN].to_numpy(), code))].drop(KNOWN, SINCE)
    rows = slates.rows
    version = data.log.catalogue.versions(rows.item, rows.time)
    return Stage(workspace, data.texts, signals, slates, items, version)


def main() -> None:
    """Measure and print, with one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--slates", type=int, default=100)
    parser.add_argument("--title-words", type=int, help="another limit than recsys.toml has")
    arguments = parser.parse_args()
    workspace = Workspace.open(arguments.workspace)
    stage, limits = open_stage(workspace), workspace.config.text.limits
    if arguments.title_words:
        limits = limits.model_copy(update={"title_words": arguments.title_words})
    added = stuffings(stage, NONE)
    result: dict[str, dict[str, float]] = {}
    for name, each in (("without limits", NONE), ("with limits", limits)):
        found = places(stage, added, each, arguments.slates)
        result[name] = {how: round(float(np.mean(where)), 4) for how, where in found.items()}
    print("| stuffed with | without limits | with limits |\n|---|---|---|")
    for how in added:
        print(f"| {how} | {result['without limits'][how]:.3f} | {result['with limits'][how]:.3f} |")
    print(
        json.dumps(
            {
                "benchmark": "stuffing",
                "data": workspace.config.name,
                "slates": arguments.slates,
                "limits": limits.model_dump(),
                "mean_place_0_is_first": result,
            }
        )
    )


if __name__ == "__main__":
    main()
