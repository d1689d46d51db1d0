"""Explanation of an interest match: the shares of the past items, and of the words of the text.

The match is what the ranker's text columns come from. It is the sum of what the default profile
says, the query, and every past item; and again the sum of what each word of the candidate's text
adds and of what is left when all of them are blanked.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import BundleError, UsageError
from data_contracts.items import Items
from features.arrays.key_index import MISSING
from features.log.item_columns import KNOWN, TEXT, item_versions
from recsys.bundle.bundle import Bundle, load_bundle
from recsys.bundle.manifest import COPY_AGAIN
from recsys.rank import past_of
from recsys.text.attribution import differentiable_match, require_captum, word_shares
from recsys.text.encoder.bert import TextEncoder
from recsys.text.interest import Past
from recsys.text.keys import text_key
from recsys.text.template import item_texts, query_text
from recsys.workspace.workspace import Workspace

STRONGEST = 10
"""Past items that are named."""


class PastItem(BaseModel):
    """An item that the user took before."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    text: str
    share: float = Field(description="What it adds to the match.")


class Word(BaseModel):
    """A word of the candidate's text."""

    model_config = ConfigDict(frozen=True)

    word: str
    share: float = Field(description="What it adds to the match, against being blanked.")


class Explanation(BaseModel):
    """The match of an item with a user, as a sum over past items and as a sum over words."""

    model_config = ConfigDict(frozen=True)

    bundle: str = Field(description="Name of the bundle.")
    item_id: str
    text: str = Field(description="What the encoder reads of it.")
    version_since: datetime | None = Field(
        description="Since when the item's version is in force; null: it always was."
    )
    price: float | None = Field(description="In that version.")
    changed: bool = Field(description="The text is another one than the bundle's vector is of.")
    user_id: str | None = Field(description="Null for the default profile alone.")
    query: str | None
    as_of: datetime
    match: float = Field(description="The interest match, in the units of the ranker's column.")
    default: float = Field(description="What the default profile says.")
    asked: float = Field(description="What the query says.")
    past: tuple[PastItem, ...] = Field(description="What past items say, the strongest ones.")
    other_past: float = Field(description="What the others say together.")
    words: tuple[Word, ...] = Field(description="In the order of the text.")
    blank: float = Field(description="The match of the text with every word blanked.")
    error: float = Field(description="What words and blank miss of the match.")


def explain(
    workspace: Workspace,
    bundle_folder: Path,
    item_id: str,
    user_id: str | None = None,
    query: str | None = None,
) -> Explanation:
    """Explain the match of an item of the catalogue as of the bundle's cut-off.

    Args:
        workspace: Has the texts.
        bundle_folder: Has the text model and the histories.
        item_id: The candidate.
        user_id: Whose history; None for the default profile.
        query: What was searched for.

    Returns:
        The explanation.

    Raises:
        UsageError: captum is missing, or there is no such item or user, or the item has no text.
        BundleError: The bundle is not whole.
    """
    require_captum()
    bundle = load_bundle(bundle_folder)
    found = _version(workspace, bundle, item_id)
    text = _text(found, bundle, item_id)
    encoder = _encoder(bundle)
    past_texts, time = _history(bundle, item_id, user_id)
    interest, code = bundle.signals.interest, bundle.features.catalogue.index.get(item_id, MISSING)
    vector = encoder.encode([text])[0]
    asked = query_text(query, bundle.config.text)
    wish = encoder.encode([asked])[0] if asked else None
    score = differentiable_match(interest, code, past_texts, time, wish)
    words = word_shares(encoder, text, score)
    item = np.array([code], np.int32)
    candidate = interest.candidates(np.array([MISSING], np.int32), {0: vector})
    past, shares = interest.by_past_item(candidate, item, past_texts, time)
    order = np.argsort(-np.abs(shares[0]), kind="stable")[:STRONGEST]
    named = _titles(workspace, bundle, [bundle.item_ids[past[at]] for at in order])
    default = float(candidate[0] @ interest.weights["default"])
    return Explanation(
        bundle=bundle.name,
        item_id=item_id,
        text=text,
        version_since=found[Items.updated_at.name][0],
        price=found[Items.price.name][0],
        changed=_bundled_text(bundle, item_id) not in (None, text_key(text).hex()),
        user_id=user_id,
        query=query,
        as_of=datetime.fromtimestamp(time / 1e6, UTC),
        match=words.score,
        default=default,
        asked=words.score - default - float(shares.sum()) if asked else 0.0,
        past=tuple(
            PastItem(item_id=name, text=title, share=float(shares[0, at]))
            for at, (name, title) in zip(order, named, strict=True)
            if shares[0, at] != 0
        ),
        other_past=float(shares[0].sum() - shares[0, order].sum()),
        words=tuple(
            Word(word=word, share=float(share))
            for word, share in zip(words.words, words.shares, strict=True)
        ),
        blank=words.blank,
        error=words.error,
    )


def _in_force(workspace: Workspace, bundle: Bundle, item_ids: Sequence[str]) -> pl.DataFrame:
    """Find the versions of some items as of the bundle's cut-off."""
    rows = workspace.scan("items").filter(Items.item_id.col.is_in(item_ids)).collect()
    moment = int(bundle.as_of.timestamp() * 1e6)
    known = item_versions(rows).filter(pl.col(KNOWN) < moment)
    last = known.unique(Items.item_id.name, keep="last", maintain_order=True)
    return last.filter(~Items.deleted.col.fill_null(value=False))


def _version(workspace: Workspace, bundle: Bundle, item_id: str) -> pl.DataFrame:
    found = _in_force(workspace, bundle, [item_id])
    if not found.height:
        raise UsageError(
            f"no item {item_id} in {workspace.location('items')} as of {bundle.as_of}",
            "an item of the catalogue that was known at the bundle's cut-off",
            "give another --item",
        )
    return found


def _bundled_text(bundle: Bundle, item_id: str) -> str | None:
    """Name the text of an item as of the bundle's cut-off; None without one."""
    catalogue, version = bundle.features.catalogue, bundle.version_of(item_id)
    code = MISSING if version < 0 else catalogue.attributes[TEXT][version]
    return None if code < 0 else catalogue.values[TEXT][code]


def _text(found: pl.DataFrame, bundle: Bundle, item_id: str) -> str:
    settings = bundle.config.text
    text = item_texts(found, settings.template, settings.limits)[0]
    if not text.strip():
        raise UsageError(
            f"item {item_id} without text", "one that has text", "its match is not defined"
        )
    return text


def _encoder(bundle: Bundle) -> TextEncoder:
    """Load the bundle's weights in float32, whatever computed its vectors: gradients need them."""
    text = bundle.config.text
    encoder = TextEncoder.load(bundle.encoder_folder, max_tokens=text.max_tokens)
    expected = bundle.manifest.encoder_fingerprint.partition("-")[0]
    if encoder.fingerprint != expected:
        raise BundleError(
            f"encoder {encoder.fingerprint} in {bundle.encoder_folder}",
            f"encoder {expected}",
            COPY_AGAIN,
        )
    return encoder


def _history(bundle: Bundle, item_id: str, user_id: str | None) -> tuple[Past, int]:
    """Give the user's history as of the cut-off, as a request would find it."""
    features = bundle.features
    if user_id is not None and user_id not in features.state.users.codes:
        raise UsageError(
            f"no user {user_id} in {bundle.folder}",
            "a user with a history as of the bundle's cut-off",
            "give another --user, or none for the default profile",
        )
    now = int(bundle.as_of.timestamp() * 1e6)
    _, reader = features.read(features.rows([item_id], user_id, now, {}))
    return bundle.signals.newest_of(past_of(reader)), int(reader.moment[0])


def _titles(workspace: Workspace, bundle: Bundle, item_ids: list[str]) -> list[tuple[str, str]]:
    """Give the title of each item; those that left the catalogue since have none."""
    found = _in_force(workspace, bundle, item_ids).select(Items.item_id.name, Items.title.name)
    titles: dict[str, str] = dict(found.rows())
    return [(item, titles.get(item, "")) for item in item_ids]
