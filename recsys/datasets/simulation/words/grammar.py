"""Texts of items and queries of users, drawn from the vocabulary."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.datasets.simulation.words.vocabulary import Family, Occasion, Style, vocabulary

_CHOICE = re.compile(r"\{([^{}]*)\}")

# More than any item's text draws.
_DRAWS = 64

_CLOSING = (
    "Comes gift-boxed.",
    "Wipe clean with a damp cloth.",
    "Designed in {our studio|Bristol|Leeds}.",
    "Free returns within {30|60} days.",
    "Made to last.",
    "New in {our range|the shop}.",
)


@dataclass(frozen=True)
class ItemText:
    """Text of an item.

    Attributes:
        title: Short name.
        description: Two to five sentences; None when the seller wrote none.
        tags: Material and colour, sometimes the product; empty when the seller gave none.
    """

    title: str
    description: str | None
    tags: list[str]


class _WordChooser:
    """Draws by a fixed row of random numbers, so that an item's text depends on no other item."""

    def __init__(self, draws: np.ndarray) -> None:
        self._draws = iter(draws.tolist())

    def chance(self, probability: float) -> bool:
        return next(self._draws) < probability

    def choose(self, options: Sequence[str]) -> str:
        """Choose one of the options, and one alternative of each `{a|b}` in it."""
        chosen = options[int(next(self._draws) * len(options))]
        return _CHOICE.sub(self._alternative, chosen)

    def choose_two(self, options: Sequence[str]) -> tuple[str, str]:
        """Choose two different options."""
        first = int(next(self._draws) * len(options))
        rest = (*options[:first], *options[first + 1 :])
        return self.choose(options[first : first + 1]), self.choose(rest)

    def _alternative(self, match: re.Match[str]) -> str:
        options = match.group(1).split("|")
        return options[int(next(self._draws) * len(options))]

    def shuffle(self, sentences: list[str]) -> list[str]:
        return sorted(sentences, key=lambda _: next(self._draws))


def write_texts(
    family: np.ndarray, style: np.ndarray, occasion: np.ndarray, rng: np.random.Generator
) -> list[ItemText]:
    """Write the text of each item.

    Args:
        family: int [n], index into the vocabulary's families.
        style: int [n], index into its styles.
        occasion: int [n], index into its occasions; -1 for none.
        rng: Drawn from the same number of times whatever the items are.

    Returns:
        One text per item, in their order.
    """
    words = vocabulary()
    draws = rng.random((len(family), _DRAWS))
    return [
        _write(
            _WordChooser(row),
            words.families[f],
            words.styles[s],
            words.occasions[o] if o >= 0 else None,
        )
        for row, f, s, o in zip(draws, family, style, occasion, strict=True)
    ]


def write_query(family: int, style: int, occasion: int, draws: np.ndarray) -> str:
    """Write the query of a user who searches for a family, perhaps of a style or for an occasion.

    Args:
        family: Index into the vocabulary's families.
        style: Index into its styles; -1 when the user names none.
        occasion: Index into its occasions; -1 when the user names none.
        draws: float64 [8], uniform in [0, 1).

    Returns:
        Two to five words in lower case.
    """
    pick, chosen = _WordChooser(draws), vocabulary()
    words = [pick.choose(chosen.families[family].nouns)]
    if style >= 0:
        words.insert(0, pick.choose(chosen.styles[style].adjectives))
    if occasion >= 0:
        words.append(pick.choose(chosen.occasions[occasion].queries))
    return " ".join(words).lower()


def _write(pick: _WordChooser, family: Family, style: Style, occasion: Occasion | None) -> ItemText:
    noun = pick.choose(family.nouns)
    material = pick.choose(family.materials)
    colour = pick.choose(style.colours)
    named = f"{material} {noun}" if pick.chance(0.5) else noun
    title = _title(pick, named, colour, family.pack, style)
    if occasion is not None and pick.chance(0.35):
        title += f" {pick.choose(occasion.endings)}"
    mood, second_mood = pick.choose_two(style.lines)
    sentences = [mood, f"It {pick.choose(family.details)}."]
    if occasion is not None:
        sentences.append(pick.choose(occasion.lines))
    if pick.chance(0.3):
        sentences.append(second_mood)
    if pick.chance(0.7):
        sentences.append(_capital(" and ".join(pick.choose_two(style.words)) + "."))
    if pick.chance(0.15):
        sentences.append(pick.choose(_CLOSING))
    description = None if pick.chance(0.04) else " ".join(pick.shuffle(sentences))
    tags = [material.lower(), colour]
    if pick.chance(0.4):
        tags.append(family.name)
    return ItemText(title, description, [] if pick.chance(0.05) else tags)


def _title(pick: _WordChooser, noun: str, colour: str, pack: str | None, style: Style) -> str:
    """Write a title; for goods without a look of their own it describes the pack."""
    adjective, motif = pick.choose(style.adjectives), pick.choose(style.motifs)
    coloured, in_colour = f"{colour} {noun}", f"in {colour}"
    if pack is not None:
        article = "an" if colour[0] in "aeiou" else "a"
        coloured, in_colour = noun, f"in {article} {colour} {pack}"
        motif = f"{motif} on the {pack}"
    title = pick.choose(
        (
            f"{adjective} {noun}",
            f"{adjective} {noun} {in_colour}",
            f"{noun} with {motif}",
            f"{coloured} with {motif}",
            f"{adjective} {noun} with {motif}",
            f"{noun} {in_colour}",
        )
    )
    return _capital(title)


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
