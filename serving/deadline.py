"""The deadline ladder: the best rung that is still reached in time."""

from dataclasses import dataclass, field
from time import perf_counter

from data_contracts.slates import Rung

LADDER: tuple[Rung, ...] = ("full", "cached_text", "no_text", "given_order")

# A rung is taken when this many times its usual cost fits into what is left.
MARGIN = 1.5
WEIGHT_OF_NEWEST = 0.2
SHRINK_PER_SKIP = 0.95

_Key = tuple[bool, bool, int]


@dataclass(frozen=True)
class Deadline:
    """Time allowed for one request.

    Attributes:
        arrived: Reading of `perf_counter` on arrival, in seconds.
        budget_ms: Milliseconds allowed from then on; None means no deadline.
    """

    arrived: float
    budget_ms: float | None

    def spent_ms(self) -> float:
        """Milliseconds since arrival."""
        return (perf_counter() - self.arrived) * 1e3

    def left_ms(self) -> float | None:
        """Milliseconds left, negative when it has passed; None without a deadline."""
        return None if self.budget_ms is None else self.budget_ms - self.spent_ms()


@dataclass
class RungCosts:
    """What ranking costs, learned from what it cost, by rung, slate size and explanation.

    Sizes are told apart by powers of two. `cached_text` costs what `full` does, since both run the
    same model, and `given_order` costs nothing.
    """

    _usual: dict[_Key, float] = field(default_factory=dict)

    def observe(self, rung: Rung, candidates: int, explain: bool, spent_ms: float) -> None:
        """Take in that ranking so many candidates took so many milliseconds."""
        if rung == "given_order":
            return
        key = _key(rung, candidates, explain)
        usual = self._usual.get(key, spent_ms)
        self._usual[key] = usual + WEIGHT_OF_NEWEST * (spent_ms - usual)

    def usual_ms(self, rung: Rung, candidates: int, explain: bool) -> float:
        """Give the usual cost; a size never seen is scaled up from the nearest one, 0 at first."""
        if rung == "given_order":
            return 0.0
        with_text, explained, size = _key(rung, candidates, explain)
        seen = {
            key[2]: cost for key, cost in self._usual.items() if key[:2] == (with_text, explained)
        }
        if not seen:
            return 0.0
        nearest = min(seen, key=lambda other: abs(other - size))
        return seen[nearest] * 2.0 ** max(0, size - nearest)

    def best_rung(self, best: Rung, candidates: int, explain: bool, left_ms: float | None) -> Rung:
        """Pick the best rung from `best` downwards that fits into the time left.

        A rung that is passed over is remembered as slightly cheaper, so that it is tried again
        some time after a hiccup made it look dear.

        Args:
            best: Where on the ladder to begin.
            candidates: Size of the slate.
            explain: Whether contributions are asked for.
            left_ms: Milliseconds left; None means all the time there is.

        Returns:
            The rung to rank on; `given_order` when nothing better fits.
        """
        if left_ms is None:
            return best
        for rung in dict.fromkeys((best, "no_text")):
            usual = self.usual_ms(rung, candidates, explain)
            if MARGIN * usual <= left_ms:
                return rung
            self._usual[_key(rung, candidates, explain)] = usual * SHRINK_PER_SKIP
        return "given_order"


def _key(rung: Rung, candidates: int, explain: bool) -> _Key:
    return rung in {"full", "cached_text"}, explain, candidates.bit_length()
