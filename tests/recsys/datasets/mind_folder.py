"""A small folder in the format of MIND, whose clicks follow the users' favourite categories."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

CATEGORIES = {
    "sports": ("football", "tennis", "golf"),
    "finance": ("markets", "savings", "taxes"),
    "travel": ("beaches", "cities", "trains"),
    "health": ("sleep", "diet", "fitness"),
}
START = datetime(2019, 11, 9, 6, 30)
SPAN = timedelta(days=6)
P_CLICK_FAVOURITE = 0.6
P_CLICK_OTHER = 0.05


@dataclass(frozen=True)
class MindFolder:
    """What `write_mind_folder` wrote.

    Attributes:
        path: The folder.
        news: News in news.tsv.
        unknown_news: Ids shown that are not in it.
        behaviours: Rows of behaviors.tsv that carry labels.
        unlabelled: Rows that carry none.
    """

    path: Path
    news: int
    unknown_news: tuple[str, ...]
    behaviours: int
    unlabelled: int


def write_mind_folder(
    path: Path,
    *,
    users: int = 12,
    items: int = 60,
    behaviours: int = 80,
    unlabelled: int = 3,
    slate_size: int = 12,
    seed: int = 0,
) -> MindFolder:
    """Write news.tsv and behaviors.tsv with quotes in titles, news without text and test rows."""
    rng = np.random.default_rng(seed)
    path.mkdir(parents=True, exist_ok=True)
    categories = list(CATEGORIES)
    of_news = rng.integers(len(categories), size=items)
    unknown = items // 20 + 1
    ids = [f"N{1000 + i}" for i in range(items)]
    _write(
        path / "news.tsv",
        (_news(rng, ids[i], categories[of_news[i]]) for i in range(items - unknown)),
    )
    favourite = rng.integers(len(categories), size=users)
    history = [_history(rng, ids, of_news == favourite[user]) for user in range(users)]
    seconds = np.sort(rng.integers(int(SPAN.total_seconds()), size=behaviours + unlabelled))
    order = rng.permutation(len(seconds))
    bare = set(range(behaviours, behaviours + unlabelled))
    rows, shown_unknown = [], set()
    for number in range(behaviours + unlabelled):
        user = int(rng.integers(users))
        shown = rng.choice(items, size=slate_size, replace=False)
        p_click = np.where(of_news[shown] == favourite[user], P_CLICK_FAVOURITE, P_CLICK_OTHER)
        clicked = rng.random(slate_size) < p_click
        clicked[np.argmax(p_click)] |= not clicked.any()
        tokens = [
            ids[item] if number in bare else f"{ids[item]}-{int(click)}"
            for item, click in zip(shown, clicked, strict=True)
        ]
        if number not in bare:
            shown_unknown |= {ids[item] for item in shown if item >= items - unknown}
        time = START + timedelta(seconds=int(seconds[order[number]]))
        written = f"{time.month}/{time.day}/{time:%Y} {time:%I:%M:%S %p}".replace(" 0", " ")
        rows.append(
            (str(number + 1), f"U{user}", written, " ".join(history[user]), " ".join(tokens))
        )
    _write(path / "behaviors.tsv", rows)
    return MindFolder(path, items - unknown, tuple(sorted(shown_unknown)), behaviours, unlabelled)


def _news(rng: np.random.Generator, news_id: str, category: str) -> tuple[str, ...]:
    subcategory = str(rng.choice(CATEGORIES[category]))
    title = f'The "{subcategory} question: {rng.integers(1000)} days of {category}'
    abstract = f"What readers of {category} should know about {subcategory}."
    return news_id, category, subcategory, title, abstract, "https://news.example", "[]", "[]"


def _history(rng: np.random.Generator, ids: list[str], liked: np.ndarray) -> list[str]:
    choices = np.flatnonzero(liked)
    size = min(len(choices), int(rng.integers(6)))
    return [ids[i] for i in rng.choice(choices, size=size, replace=False)] if size else []


def _write(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
