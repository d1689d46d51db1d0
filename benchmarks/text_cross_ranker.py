"""Whether a cross-encoder earns a place in the ranker, beside behaviour and the interest match.

The cross-encoder is trained on the last slates before `text_end`, those that a bundle's head was
stopped on and did not learn from. It scores the first candidates, by the match, of some requests of
the later periods; all others have no score. Rankers with and without it are trained on the same
requests and judged on the same. Scores are kept in the workspace's cache, since each is a pass
through BERT. Prints tables and, as the last line, JSON.

    python benchmarks/text_cross_ranker.py WORKSPACE --slates 800 --ranker 2400 --test 2000
"""

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from cross_encoder import (
    CrossEncoder,
    Short,
    all_scores,
    drawn,
    reordered,
    short_lists,
    train_cross,
)
from ranker_table import (
    BEHAVIOUR,
    MATCH,
    PARTS,
    Columns,
    compared,
    match_columns,
    ndcg_of,
    ranked,
)
from text_profiles import World, held_out_from, open_world

from data_contracts.storage import atomic_file
from recsys.config import WorkspaceConfig
from recsys.dataset import read_slates
from recsys.ranker import TEXT_COLUMNS
from recsys.ranking_rows import RankingRows
from recsys.split import periods
from recsys.text.signals import INTEREST_MATCH, SIGNALS, signal_rows
from recsys.text.template import item_texts
from recsys.workspace import CACHE, Workspace

CROSS = ("cross_encoder", "slate_percentile_cross_encoder")
WITH_MATCH = "behaviour and match"
WITH_CROSS = "behaviour, match and cross-encoder"


@dataclass(frozen=True)
class Teacher:
    """Gives a cross-encoder's scores, from the cache where they are there.

    Attributes:
        world: The workspace with a bundle's view of it.
        texts: Of the items.
        asked: How it is trained and what it looks at.
    """

    world: World
    texts: Sequence[str]
    asked: argparse.Namespace

    def scores(self, rows: dict[str, RankingRows]) -> dict[str, np.ndarray]:
        """Score the first candidates of each period's requests.

        Args:
            rows: Of each of `PARTS`.

        Returns:
            float32 [n_rows] of each; NaN for the other candidates, and for users whose history
            names nothing.
        """
        lists = {part: self._lists(each) for part, each in rows.items()}
        paths = {part: self._path(part, short) for part, short in lists.items()}
        if not all(path.exists() for path in paths.values()):
            model = self._trained()
            for part, short in lists.items():
                started = time.perf_counter()
                found = all_scores(model, short, self.texts)
                spent = (time.perf_counter() - started) / len(short.chosen)
                print(f"{part}: {len(short.chosen)} requests, {spent:.2f} s each", flush=True)
                with atomic_file(paths[part]) as path, path.open("wb") as file:
                    np.save(file, found)
        return {part: np.load(path) for part, path in paths.items()}

    def _lists(self, rows: RankingRows) -> Short:
        """Choose what is scored; users without a named history have an empty list."""
        count, newest = self.asked.candidates, self.asked.newest
        short = short_lists(
            rows.slates, rows.match, self.texts, count, newest, with_positives=False
        )
        chosen = [
            rows if history else rows[:0]
            for rows, history in zip(short.chosen, short.histories, strict=True)
        ]
        return Short(short.slates, short.match, chosen, short.histories)

    def _path(self, part: str, short: Short) -> Path:
        """Name the file of a period's scores by all that decides them."""
        asked = {name: getattr(self.asked, name) for name in ("slates", "newest", "layers", "seed")}
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode())
        digest.update(self.world.bundle.fingerprint.encode())
        rows = short.slates.rows
        for array in (rows.request_time, rows.request_user, np.concatenate(short.chosen)):
            digest.update(np.ascontiguousarray(array).tobytes())
        folder = self.world.workspace.root / CACHE / "cross_encoder"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{part}-{digest.hexdigest()[:16]}.npy"

    def _trained(self) -> CrossEncoder:
        """Train on slates before `text_end` that the bundle's head did not learn from."""
        world, asked = self.world, self.asked
        config, signals = world.workspace.config, world.bundle.signals
        period = periods(config.split, config.labels.attribution_window_hours).text
        slates = read_slates(
            world.workspace, world.log, world.texts.queries, period, signals.newest
        ).slates
        slates = slates.cut(held_out_from(slates), len(slates))
        slates = slates.only(drawn(slates, asked.slates, np.random.default_rng(asked.seed)))
        match = signal_rows(signals, slates, world.texts.vectors.queries)
        lesson = short_lists(
            slates,
            match[:, SIGNALS.index(INTEREST_MATCH)],
            self.texts,
            asked.candidates * 3 // 5,
            asked.newest,
            with_positives=True,
        )
        torch.manual_seed(asked.seed)
        model = CrossEncoder(world.texts.encoder, asked.layers)
        seconds = train_cross(model, lesson, self.texts, asked.seed)
        print(f"cross-encoder: {len(slates)} slates, {seconds:.2f} s each", flush=True)
        return model


def compare(workspace: Workspace, asked: argparse.Namespace) -> None:
    """Score, rank and print."""
    world, config = open_world(workspace, asked.seed), workspace.config
    told = item_texts(
        workspace.scan("items").select(config.text.template).collect(),
        config.text.template,
        config.text.limits,
    ).to_list()
    random = np.random.default_rng(asked.seed)
    rows = {
        part: world.rows[part].only(
            drawn(world.rows[part].slates, getattr(asked, part), random, with_history=False)
        )
        for part in PARTS
    }
    scores = Teacher(world, told, asked).scores(rows)
    text = {part: text_of(rows[part], scores[part]) for part in PARTS}
    found = {
        name: judged_rankers(config, rows, text, names, asked.ranker_seeds)
        for name, names in (
            (BEHAVIOUR, ()),
            (WITH_MATCH, MATCH),
            (WITH_CROSS, (*MATCH, *CROSS)),
        )
    }
    test, score = rows["test"], scores["test"]
    alone = {
        "match alone": np.where(np.isnan(test.match), -np.inf, test.match),
        "its first candidates in the cross-encoder's order": reordered(test.match, score),
    }
    tables = {
        "over_behaviour": compared(found, test),
        "over_the_match": compared({name: found[name] for name in (WITH_MATCH, WITH_CROSS)}, test),
        "without_a_ranker": compared(
            {name: [ndcg_of(test, each, config)] for name, each in alone.items()}, test
        ),
    }
    sizes = {part: len(each.slates) for part, each in rows.items()}
    settings = {name: value for name, value in vars(asked).items() if name != "workspace"}
    print(
        json.dumps(
            {
                "benchmark": "text_cross_ranker",
                "data": config.name,
                **settings,
                "requests": sizes,
                "tables": tables,
            }
        )
    )


def text_of(rows: RankingRows, score: np.ndarray) -> np.ndarray:
    """Put the text columns side by side, float32 [n_rows, 4]: `MATCH`, then `CROSS`."""
    match = rows.text[:, [TEXT_COLUMNS.index(name) for name in MATCH]]
    return np.hstack([match, match_columns(rows, score)])


def judged_rankers(
    config: WorkspaceConfig,
    rows: Mapping[str, RankingRows],
    text: Columns,
    names: Sequence[str],
    seeds: int,
) -> list[np.ndarray]:
    """Train rankers on behaviour and the first text columns and judge them on the test.

    Args:
        config: Of the workspace.
        rows: Of each of `PARTS`.
        text: From `text_of`, of each of `PARTS`.
        names: Of the columns that are used, from the first on.
        seeds: Rankers to train.

    Returns:
        nDCG@10 per request, float64 [n_requests, 2], of each seed.
    """
    columns = {part: each[:, : len(names)] for part, each in text.items()}
    judged = {"": {"test": columns["test"]}}
    return [ranked(config, rows, columns, names, judged, seed)[""] for seed in range(seeds)]


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--slates", type=int, default=800, help="to train the cross-encoder on")
    parser.add_argument("--ranker", type=int, default=2400, help="requests to train rankers on")
    parser.add_argument("--validation", type=int, default=500, help="requests to stop them on")
    parser.add_argument("--test", type=int, default=2000, help="requests to judge them on")
    parser.add_argument("--candidates", type=int, default=20, help="that are scored")
    parser.add_argument("--newest", type=int, default=6, help="past texts that are read")
    parser.add_argument("--layers", type=int, default=3, help="of the cross-encoder, trained")
    parser.add_argument("--ranker-seeds", type=int, default=3, help="rankers to average over")
    parser.add_argument("--seed", type=int, default=0, help="of the bundle and the cross-encoder")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    compare(Workspace.open(asked.workspace), asked)


if __name__ == "__main__":
    main()
