"""The text of an item, put together from its columns, with limits against keyword stuffing.

Whoever writes a title may fill it with words that many users like. So a word counts only so often
and a column has only so many words, as `TextLimits` says; ordinary texts stay as they are.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import polars as pl

from data_contracts.items import Items
from data_contracts.names import can_be_seen, without_fillers
from features.log.item_columns import said
from recsys.text.keys import text_key
from recsys.text.settings import TextLimits, TextSettings

_BLANKS = re.compile("[\\s\x00-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ufffe\uffff]+")
_ACCENTS = re.compile("[\u0300-\u036f]")
# Scripts written without spaces: a sign counts as a word, as BERT's tokenizers have it.
_SIGNS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SIGN = f"[{_SIGNS}]"
_WORDS = re.compile(f"{_SIGN}|[^\\s{_SIGNS}]+")
# Punctuation, at which those tokenizers begin a word too.
_MARKS = (
    "!-/:-@\\[-`{-~\u00a1\u00a7\u00ab\u00b6\u00b7\u00bb\u00bf"
    "\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_PARTS = re.compile(f"{_SIGN}|[{_MARKS}]*[^\\s{_SIGNS}{_MARKS}]+[{_MARKS}]*|[{_MARKS}]+")
_CHANTS = re.compile(f"({_SIGN}{{2,20}}?)\\1{{2,}}")
_WORD_CHARACTERS = 64
# Words this short are articles and the like, which any text repeats.
_SHORT = 3
_CORE = re.compile(r"[^\W_](?:.*[^\W_])?")


def item_texts(
    items: pl.DataFrame, template: Sequence[str], limits: TextLimits | None = None
) -> pl.Series:
    """Put the columns of the template together, one sentence a column.

    Null and empty columns are left out, tags are joined by commas, and a column that repeats an
    earlier one says nothing new and is left out too.

    Args:
        items: A table that keeps the contract of items.
        template: Names of columns, in the order of the text.
        limits: What a column may hold; the usual limits when absent.

    Returns:
        Texts, [n_items]; empty for an item without any.
    """
    columns = items.select(pl.col(name) for name in template)
    same = columns.with_row_index("row").group_by(template, maintain_order=True).agg("row")
    texts = _texts(same.select(template), template, limits or TextLimits())
    by_row = same.select("row", text=texts).explode("row")
    return by_row.sort("row")["text"]


def _texts(items: pl.DataFrame, template: Sequence[str], limits: TextLimits) -> pl.Series:
    words = pl.DataFrame(
        [
            pl.Series(name, _limited(items[name], limits.of(name), limits.word_repeats), pl.String)
            for name in template
        ]
    )
    parts: list[pl.Expr] = []
    for place, name in enumerate(template):
        repeated = [pl.col(earlier) == pl.col(name) for earlier in template[:place]]
        seen = pl.any_horizontal(repeated) if repeated else pl.lit(value=False)
        parts.append(pl.when(seen | (pl.col(name) == "")).then(None).otherwise(pl.col(name)))
    joined = pl.concat_str(parts, separator=". ", ignore_nulls=True)
    return words.select(joined.fill_null("").alias("text"))["text"]


def text_keys(items: pl.DataFrame, settings: TextSettings) -> pl.Series:
    """Name the text of each row of a table of items; what has the same text has the same name.

    Args:
        items: A table that keeps the contract of items.
        settings: How the text of an item is put together.

    Returns:
        Hexadecimal digits, [n_items]; null for an item without text.
    """
    texts = item_texts(items, settings.template, settings.limits)
    keys = {text: text_key(text).hex() for text in texts.unique() if text}
    return texts.replace_strict(keys, default=None, return_dtype=pl.String)


def inline_text(text: str | None, settings: TextSettings) -> str:
    """Bring the text of a candidate in a request into the form of the catalogue's texts.

    Args:
        text: Any text, or None.
        settings: Whose template an item's text would be made by.

    Returns:
        The text under the limits of all columns of the template together, and of no more words
        than the encoder reads; empty where nothing can be read.
    """
    words = min(sum(map(settings.limits.of, settings.template)), settings.max_tokens)
    return limit_words(text or "", words, settings.limits.word_repeats)


def query_text(text: str | None, settings: TextSettings) -> str:
    """Bring a query, of the log or of a request, into the form that is encoded.

    Args:
        text: Any text, or None.
        settings: What a column of text may hold.

    Returns:
        The query under the limits of a column; empty where nothing can be read.
    """
    limits = settings.limits
    return limit_words(text or "", limits.column_words, limits.word_repeats)


def limit_words(text: str, words: int, repeats: int) -> str:
    """Cut a text to the limits against stuffing.

    Blank, control and invisible characters become single spaces; spaces at the ends go, and periods
    at the end. A word, which ends at a blank or at punctuation, is kept `repeats` times and a
    phrase of a script without spaces that is repeated on the spot once, and the text ends after
    `words` words or 64 times as many characters.

    Args:
        text: Any text.
        words: Words at the most.
        repeats: Occurrences of one word at the most, whatever its case, accents, punctuation and
            signs that cannot be seen.

    Returns:
        The text, which limited again stays as it is; empty when nothing of it can be seen.
    """
    limited = _limited_once(text, words, repeats)
    while limited != text:
        text, limited = limited, _limited_once(limited, words, repeats)
    return text


def word_spans(text: str) -> list[tuple[int, int]]:
    """Give where each word of a text begins and ends; a sign of a script without spaces is one."""
    return [found.span() for found in _WORDS.finditer(text)]


def _limited_once(text: str, words: int, repeats: int) -> str:
    clean = _BLANKS.sub(" ", text).strip()[: words * _WORD_CHARACTERS]
    clean = _CHANTS.sub(r"\1", clean)
    seen: Counter[str] = Counter()
    kept: list[str] = []
    kept_to = 0
    for found in _PARTS.finditer(clean):
        word = _form(found.group())
        seen[word] += 1
        over = seen[word] > repeats and len(word) > _SHORT
        if over:
            continue
        if len(kept) == words:
            break
        between = " " if kept and " " in clean[kept_to : found.start()] else ""
        kept.append(between + found.group())
        kept_to = found.end()
    limited = "".join(kept).rstrip(" .")
    return limited if can_be_seen(limited) else ""


def _form(word: str) -> str:
    """Give what is the same for all ways to write a word that an encoder may read as one."""
    core = _CORE.search(word)
    form = core.group().casefold() if core else ""
    if form.isascii():
        return form
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", without_fillers(form)))
    return unicodedata.normalize("NFC", bare)


def _limited(column: pl.Series, words: int, repeats: int) -> list[str]:
    texts = said(column)
    if column.name == Items.tags.name:
        texts = texts.list.join(", ")
    return [limit_words(text, words, repeats) if text else "" for text in texts]
