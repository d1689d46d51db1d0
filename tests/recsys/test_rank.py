from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from data_contracts.slates import RankedSlate, Rung, Slate
from features.arrays.clock import DAY
from features.arrays.key_index import MISSING
from features.log.events import without_sessions
from features.log.history import last_interactions
from features.log.item_columns import TEXT
from features.log.log import Log
from features.log.requests import Rows
from recsys.bundle.bundle import Bundle, load_bundle
from recsys.labels.slates import LabelledSlates
from recsys.rank import rank, texts_to_encode
from recsys.ranker.ranker import text_columns
from recsys.text.signals import match_rows
from recsys.training.texts import Texts

RANKED: tuple[Rung, ...] = ("full", "cached_text", "no_text")


@pytest.fixture(scope="module")
def midnight(tiny_bundle: Bundle) -> datetime:
    return tiny_bundle.as_of


@pytest.fixture(scope="module")
def user(tiny_bundle: Bundle) -> str:
    """The user with the longest history."""
    lengths = tiny_bundle.features.state.history.count[: len(tiny_bundle.user_ids)]
    return tiny_bundle.user_ids[int(np.argmax(lengths))]


@pytest.fixture(scope="module")
def slate(tiny_bundle: Bundle, midnight: datetime, user: str) -> Slate:
    return Slate("r", list(tiny_bundle.known_items[:40]), midnight, user_id=user)


def by_item(ranked: RankedSlate, values: np.ndarray | None) -> dict[str, float]:
    assert values is not None
    return dict(zip(ranked.item_ids, values.tolist(), strict=True))


@pytest.mark.parametrize("rung", RANKED)
def test_every_candidate_stands_once_best_first(
    tiny_bundle: Bundle, slate: Slate, rung: Rung
) -> None:
    ranked = rank(tiny_bundle, slate, {}, rung=rung)
    assert sorted(ranked.item_ids) == sorted(slate.item_ids)
    assert (np.diff(ranked.scores) <= 0).all()
    assert len(np.unique(ranked.scores)) > 3
    assert ranked.p_click is not None
    assert (np.diff(ranked.p_click) <= 1e-12).all()
    assert ((ranked.p_click > 0) & (ranked.p_click < 1)).all()
    assert ranked.rung == rung
    assert (ranked.interest_match is None) == (rung == "no_text")
    assert ranked.unknown_items == []


@pytest.mark.parametrize("rung", RANKED)
def test_scores_do_not_depend_on_the_given_order(
    tiny_bundle: Bundle, slate: Slate, rung: Rung
) -> None:
    turned = replace(slate, item_ids=list(reversed(slate.item_ids)))
    first, second = (rank(tiny_bundle, each, {}, rung=rung) for each in (slate, turned))
    assert by_item(first, first.scores) == by_item(second, second.scores)


def test_given_order_asks_nobody(tiny_bundle: Bundle, slate: Slate) -> None:
    ranked = rank(tiny_bundle, slate, {}, rung="given_order")
    assert ranked.item_ids == slate.item_ids
    assert (np.diff(ranked.scores) < 0).all()
    assert (ranked.p_click, ranked.interest_match) == (None, None)


@pytest.mark.parametrize("rung", RANKED)
def test_contributions_sum_to_the_score_up_to_the_same_number(
    tiny_bundle: Bundle, slate: Slate, rung: Rung
) -> None:
    ranked = rank(tiny_bundle, slate, {}, rung=rung, explain=len(slate.item_ids))
    assert ranked.contributions is not None
    rest = ranked.scores - np.array([sum(c.values()) for c in ranked.contributions])
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)
    for shares in ranked.contributions:
        strength = np.abs(list(shares.values()))
        assert (np.diff(strength) <= 0).all()
    assert rank(tiny_bundle, slate, {}, rung=rung).contributions is None
    best = rank(tiny_bundle, slate, {}, rung=rung, explain=2).contributions
    assert best == ranked.contributions[:2]


def test_history_shares_are_what_the_history_adds_to_the_match(
    tiny_bundle: Bundle, slate: Slate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.rank._MOST_SHARES", 10_000)
    count = len(slate.item_ids)
    ranked = rank(tiny_bundle, slate, {}, explain=count)
    assert ranked.history_shares is not None
    assert ranked.interest_match is not None
    guest = rank(tiny_bundle, replace(slate, user_id=None), {}, explain=count)
    assert guest.history_shares == [{}] * count
    alone = by_item(guest, guest.interest_match)
    for item, match, shares in zip(
        ranked.item_ids, ranked.interest_match, ranked.history_shares, strict=True
    ):
        assert shares is not None
        assert item not in shares
        assert sum(shares.values()) == pytest.approx(match - alone[item], abs=1e-3)
        assert (np.diff(np.abs(list(shares.values()))) <= 0).all()
    assert rank(tiny_bundle, slate, {}).history_shares is None
    assert rank(tiny_bundle, slate, {}, rung="no_text", explain=1).history_shares is None


def with_texts(slate: Slate, *extra: tuple[str, str | None]) -> Slate:
    """Append candidates with their texts."""
    ids = [*slate.item_ids, *(item for item, _ in extra)]
    texts = [None] * len(slate.item_ids) + [text for _, text in extra]
    return replace(slate, item_ids=ids, texts=texts)


def test_an_unknown_item_is_ranked_by_its_text_or_without(
    tiny_bundle: Bundle, tiny_texts: Texts, slate: Slate
) -> None:
    text = "warm wool scarf for winter"
    asked = with_texts(slate, ("new", text), ("bare", None), ("empty", ""))
    assert texts_to_encode(tiny_bundle, asked) == [text]
    vectors = {text: tiny_texts.encoder.encode([text])[0]}
    ranked = rank(tiny_bundle, asked, vectors)
    match = by_item(ranked, ranked.interest_match)
    assert sorted(ranked.unknown_items) == ["bare", "empty", "new"]
    assert np.isfinite(match["new"])
    assert np.isnan([match["bare"], match["empty"]]).all()
    assert np.isfinite(ranked.scores).all()
    late = rank(tiny_bundle, asked, {}, rung="cached_text")
    assert np.isnan(by_item(late, late.interest_match)["new"])


def test_an_unknown_item_with_a_known_ones_text_matches_like_it(
    tiny_bundle: Bundle, tiny_texts: Texts, slate: Slate
) -> None:
    known = slate.item_ids[0]
    catalogue = tiny_bundle.features.catalogue
    text = catalogue.attributes[TEXT][tiny_bundle.version_of(known)]
    key = catalogue.values[TEXT][text]
    place = tiny_texts.keys.index(key)
    ranked = rank(
        tiny_bundle,
        with_texts(replace(slate, user_id=None), ("twin", "its text")),
        {"its text": tiny_texts.vectors.items[place]},
    )
    match = by_item(ranked, ranked.interest_match)
    assert match["twin"] == pytest.approx(match[known], abs=1e-4)


def test_a_known_items_own_text_stays(tiny_bundle: Bundle, slate: Slate) -> None:
    asked = replace(slate, texts=["another text", *[None] * (len(slate.item_ids) - 1)])
    assert texts_to_encode(tiny_bundle, asked) == []
    other = np.ones(tiny_bundle.signals.interest.dim, np.float32)
    ranked = rank(tiny_bundle, asked, {"another text": other})
    plain = rank(tiny_bundle, slate, {})
    assert by_item(ranked, ranked.scores) == by_item(plain, plain.scores)


def test_a_guest_and_a_user_nobody_knows_get_the_default_profile(
    tiny_bundle: Bundle, slate: Slate
) -> None:
    known, guest, new = (
        rank(tiny_bundle, replace(slate, user_id=user), {})
        for user in (slate.user_id, None, "nobody knows me")
    )
    matches = [by_item(ranked, ranked.interest_match) for ranked in (known, guest, new)]
    assert matches[1] == matches[2] != matches[0]
    assert np.isfinite(guest.scores).all()
    assert np.isfinite(new.scores).all()


def test_a_query_moves_the_match(
    tiny_bundle: Bundle, tiny_texts: Texts, slate: Slate, trained_queries: Sequence[str]
) -> None:
    unknown = "a query nobody ever typed"
    plain = rank(tiny_bundle, slate, {})
    asked = replace(slate, query=unknown)
    assert texts_to_encode(tiny_bundle, asked) == [unknown]
    vector = tiny_texts.encoder.encode([unknown])[0]
    moved = rank(tiny_bundle, asked, {unknown: vector})
    assert by_item(moved, moved.interest_match) != by_item(plain, plain.interest_match)
    too_late = rank(tiny_bundle, asked, {})
    assert by_item(too_late, too_late.interest_match) == by_item(plain, plain.interest_match)
    for query in trained_queries[:1]:
        known = replace(slate, query=query)
        assert texts_to_encode(tiny_bundle, known) == []
        found = rank(tiny_bundle, known, {})
        assert by_item(found, found.interest_match) != by_item(plain, plain.interest_match)


@pytest.fixture(scope="module")
def trained_queries(tiny_bundle: Bundle) -> Sequence[str]:
    return [query for query in tiny_bundle.queries if query]


def test_a_request_is_scored_as_the_evaluation_scores_its_rows(
    tiny_bundle: Bundle, tiny_log: Log, slate: Slate, midnight: datetime
) -> None:
    """The features and the match of the batch paths, as of the midnight, give the same scores."""
    user = tiny_bundle.features.users[slate.user_id or ""]
    time = np.array([int(midnight.timestamp() * 1e6)])
    assert time[0] % DAY == 0
    item = np.array(
        [tiny_bundle.features.catalogue.index[each] for each in slate.item_ids], np.int32
    )
    rows = Rows(time, np.array([user], np.int32), np.array([0, len(item)]), item)
    history = last_interactions(
        without_sessions(tiny_log.interactions),
        rows.request_user,
        time,
        tiny_bundle.signals.newest,
        tiny_bundle.config.features.forget_days,
    )
    texts = tiny_bundle.features.catalogue.attributes[TEXT]

    def text_of(items: np.ndarray) -> np.ndarray:
        version = tiny_bundle.features.catalogue.versions(items, time)
        return np.where(version < 0, MISSING, texts[version]).astype(np.int32)

    grade, no_query = np.zeros(len(item), np.uint8), np.array([MISSING])
    slates = LabelledSlates(
        rows,
        text_of(item),
        grade,
        np.ones(len(item)),
        history,
        text_of(history.item),
        no_query,
        int(time[0]),
    )
    dim = tiny_bundle.signals.interest.dim
    match = match_rows(tiny_bundle.signals, slates, np.zeros((0, dim), np.float32))
    ranked = rank(tiny_bundle, slate, {})
    found = by_item(ranked, ranked.interest_match)
    np.testing.assert_array_equal(match, np.array([found[each] for each in slate.item_ids], "f4"))
    matrix, _ = tiny_bundle.features.read(rows)
    wide = np.hstack([matrix, text_columns(match, rows.request)])
    scores = by_item(ranked, ranked.scores)
    np.testing.assert_array_equal(
        tiny_bundle.full.ranker.score(wide), [scores[each] for each in slate.item_ids]
    )


def test_equal_candidates_keep_the_given_order(tiny_bundle: Bundle, midnight: datetime) -> None:
    unknown = [f"new-{place}" for place in (3, 1, 2)]
    ranked = rank(tiny_bundle, Slate("r", unknown, midnight), {})
    assert ranked.item_ids == unknown
    assert len(set(ranked.scores.tolist())) == 1


def test_the_time_of_the_request_is_the_hour_of_its_features(
    tiny_bundle: Bundle, slate: Slate, midnight: datetime
) -> None:
    later = replace(slate, timestamp=midnight + timedelta(hours=15))
    bundle = load_bundle(tiny_bundle.folder)
    features = bundle.features
    hour = tiny_bundle.manifest.features.index("request_hour")
    found = []
    for each in (slate, later):
        time = int(each.timestamp.timestamp() * 1e6)
        matrix, _ = features.read(features.rows(each.item_ids, each.user_id, time, {}))
        found.append(matrix[0, hour])
    assert found == [0, 15]
    assert np.isfinite(rank(bundle, later, {}).scores).all()


BLANKS = ("", "   ", "\u200b\ufeff", "\u00a0\n.")


def new_items(slate: Slate, texts: Sequence[str | None]) -> Slate:
    """Give a slate of new items that bring these texts."""
    return replace(slate, item_ids=[f"new-{n}" for n in range(len(texts))], texts=texts)


def test_blank_texts_and_queries_rank_as_none(tiny_bundle: Bundle, slate: Slate) -> None:
    none = new_items(slate, [None] * len(BLANKS))
    blank = replace(new_items(slate, BLANKS), query=" \u200b ")
    assert texts_to_encode(tiny_bundle, blank) == []
    without, ranked = (rank(tiny_bundle, each, {}) for each in (none, blank))
    assert ranked.interest_match is not None
    assert np.isnan(ranked.interest_match).all()
    assert ranked.item_ids == without.item_ids
    np.testing.assert_array_equal(ranked.scores, without.scores)


def test_a_text_of_a_request_is_encoded_as_the_catalogue_has_it(
    tiny_bundle: Bundle, tiny_texts: Texts, slate: Slate
) -> None:
    written = tiny_texts.items[0]
    messy = new_items(slate, [f"  \ufeff{written}. ", written, "lamp " * 9])
    texts = texts_to_encode(tiny_bundle, messy)
    assert texts == [written, "lamp lamp lamp"]
    vectors = dict(zip(texts, tiny_texts.encoder.encode(texts), strict=True))
    match = by_item(ranked := rank(tiny_bundle, messy, vectors), ranked.interest_match)
    assert match["new-0"] == match["new-1"]
    assert not np.isnan(match["new-2"])


def test_a_query_is_found_however_it_is_spaced(tiny_bundle: Bundle, slate: Slate) -> None:
    query = next(iter(tiny_bundle.queries))
    asked, spaced = (
        rank(tiny_bundle, replace(slate, query=each), {}) for each in (query, f" \u200b{query} ")
    )
    plain = rank(tiny_bundle, replace(slate, query=None), {})
    assert by_item(asked, asked.interest_match) == by_item(spaced, spaced.interest_match)
    assert by_item(asked, asked.interest_match) != by_item(plain, plain.interest_match)


def test_a_bundle_ranks_in_one_thread_only(tiny_bundle_folder: Path, slate: Slate) -> None:
    bundle = load_bundle(tiny_bundle_folder)
    expected = rank(bundle, slate, {})

    def refused(_: int) -> bool:
        with pytest.raises(RuntimeError, match="which used this state first"):
            rank(bundle, slate, {})
        return True

    with ThreadPoolExecutor(2) as others:
        outcomes = others.map(refused, range(50))
        again = [rank(bundle, slate, {}) for _ in range(50)]
        assert all(outcomes)
    for each in again:
        assert each.item_ids == expected.item_ids
        np.testing.assert_array_equal(each.scores, expected.scores)
    with ThreadPoolExecutor(1) as owner:
        moved = load_bundle(tiny_bundle_folder)
        assert owner.submit(rank, moved, slate, {}).result().item_ids == expected.item_ids
