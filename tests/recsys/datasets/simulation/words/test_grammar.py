import itertools

import numpy as np
import pytest

from recsys.datasets.simulation.words.grammar import ItemText, write_query, write_texts
from recsys.datasets.simulation.words.vocabulary import vocabulary

WORDS = vocabulary()


@pytest.fixture(scope="module")
def kinds() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    count = 2000
    return (
        rng.integers(len(WORDS.families), size=count),
        rng.integers(len(WORDS.styles), size=count),
        rng.integers(-1, len(WORDS.occasions), size=count),
    )


@pytest.fixture(scope="module")
def texts(kinds: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[ItemText]:
    return write_texts(*kinds, np.random.default_rng(1))


def test_texts_are_written_out(texts: list[ItemText]) -> None:
    for text in texts:
        written = " ".join([text.title, text.description or "none", *text.tags])
        assert not set("{}|") & set(written)
        assert "  " not in written
        assert text.title[0].upper() == text.title[0]
        assert text.description is None or text.description.endswith((".", "?", "!"))


def test_texts_repeat_neither_each_other_nor_a_sentence(texts: list[ItemText]) -> None:
    whole = [(text.title, text.description) for text in texts]
    assert len(set(whole)) >= 0.99 * len(whole)
    for text in texts:
        sentences = (text.description or "").split(". ")
        assert len(set(sentences)) == len(sentences)


def test_a_style_is_told_in_words_that_differ(
    texts: list[ItemText], kinds: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    # Words that any item may use (products, occasions, small words) are those of other styles too.
    style = kinds[1]
    words = [set(f"{text.title} {text.description}".lower().split()) for text in texts]
    for each in range(len(WORDS.styles)):
        own = [words[i] for i in np.nonzero(style == each)[0]]
        others = set().union(*(words[i] for i in np.nonzero(style != each)[0]))
        pairs = [not (a & b) - others for a, b in itertools.pairwise(own)]
        assert np.mean(pairs) > 0.5


def test_a_text_depends_on_its_item_only() -> None:
    family, style, occasion = np.array([3, 4]), np.array([1, 2]), np.array([-1, 5])
    both = write_texts(family, style, occasion, np.random.default_rng(5))
    other = write_texts(family[::-1], style, occasion, np.random.default_rng(5))
    one = write_texts(family[:1], style[:1], occasion[:1], np.random.default_rng(5))
    assert both[0] == one[0]
    assert both[1] != other[1]


def test_query_names_what_is_looked_for() -> None:
    draws = np.zeros(8)
    query = write_query(0, 0, 0, draws)
    style, family, occasion = WORDS.styles[0], WORDS.families[0], WORDS.occasions[0]
    assert query == f"{style.adjectives[0]} {family.nouns[0]} {occasion.queries[0]}"
    assert write_query(0, -1, -1, draws) == family.nouns[0]
