"""Names of texts: the same text has the same name everywhere."""

import hashlib

KEY_BYTES = 16


def text_key(text: str) -> bytes:
    """Name a text by its hash."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=KEY_BYTES).digest()
