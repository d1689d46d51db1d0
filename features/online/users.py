"""Codes of users: assigned as they appear, and reused once a user is forgotten."""

from collections.abc import Sequence

import numpy as np

from features.arrays.clock import NEVER
from features.arrays.key_index import grown

UNKNOWN = (1 << 31) - 1
"""Code of a user without any event; no user ever gets it."""
_LEAST_USERS = 16


class Users:
    """Code of each user.

    Args:
        user_ids: Users in the order of their codes; None for a code that is free.

    Attributes:
        codes: Code by identifier.
        free: Codes that are free.
        seen: int64 [n], time of the last event of any kind by code; `NEVER` for a free code.
    """

    def __init__(self, user_ids: Sequence[str | None] = ()) -> None:
        self.codes = {user: code for code, user in enumerate(user_ids) if user is not None}
        self._ids: list[str | None] = list(user_ids)
        self.free = [code for code, user in enumerate(user_ids) if user is None]
        self.seen = np.full(max(len(user_ids), _LEAST_USERS), -NEVER, np.int64)
        self.seen[self.free] = NEVER

    @property
    def ids(self) -> Sequence[str | None]:
        """Users in the order of their codes; None for a code that is free."""
        return self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, user_id: str) -> int:
        """User's code, `UNKNOWN` for one without any event."""
        return self.codes.get(user_id, UNKNOWN)

    def add(self, user_id: str) -> int:
        """User's code, a free or new one for a user that has none."""
        code = self.codes.get(user_id)
        if code is None:
            if self.free:
                code = self.free.pop()
                self._ids[code] = user_id
            else:
                code = len(self._ids)
                self._ids.append(user_id)
                if code == len(self.seen):
                    self.seen = grown(self.seen, code + 1, -NEVER)
            self.seen[code] = -NEVER
            self.codes[user_id] = code
        return code

    def forget(self, before: int, spared: set[int]) -> None:
        """Free the codes of users without an event since an instant.

        Args:
            before: UTC microseconds.
            spared: Codes that must stay.
        """
        for code in np.flatnonzero(self.seen[: len(self._ids)] < before).tolist():
            user = self._ids[code]
            if code not in spared and user is not None:
                del self.codes[user]
                self._ids[code] = None
                self.free.append(code)
                self.seen[code] = NEVER
