"""The deadline ladder: the best rung that is still reached in time."""

from dataclasses import dataclass, field
from time import perf_counter

from data_contracts.slates import Rung

LADDER: tuple[Rung, ...] = ("full", "cached_text", "no_text", "given_order")

# A rung is taken when this many times its usual cost fits into what is left.
MARGIN = 1.5
WEIGHT_OF_NEWEST = 0.2
SHRINK_PER_SKIP = 0.95

_Key = tuple[str, bool, int]
_RANK, _EXPLAIN = "rank", "explain"


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
    """Expected time of ranking by rung and slate size, an exponential moving average.

    Explanations come on top, by how many there are. Sizes are told apart by powers of two.
    `cached_text` costs what `full` does, since both run the same model, and `given_order` costs
    nothing.
    """

    _usual: dict[_Key, float] = field(default_factory=dict)

    def observe(
        self, rung: Rung, candidates: int, rank_ms: float, explained: int = 0, explain_ms: float = 0
    ) -> None:
        """Update the averages with the time of one ranking and of its explanations."""
        if rung == "given_order":
            return
        self._learn(_key(_RANK, rung, candidates), rank_ms)
        if explained:
            self._learn(_key(_EXPLAIN, rung, explained), explain_ms)

    def usual_ms(self, rung: Rung, candidates: int, explained: int) -> float:
        """Give the usual cost; a size never seen is scaled up from the nearest one, 0 at first."""
        if rung == "given_order":
            return 0.0
        ranking = self._expected(_key(_RANK, rung, candidates))
        return ranking + (self._expected(_key(_EXPLAIN, rung, explained)) if explained else 0.0)

    def best_rung(self, best: Rung, candidates: int, explained: int, left_ms: float | None) -> Rung:
        """Pick the best rung from `best` downwards that fits into the time left.

        A rung that is passed over is remembered as slightly cheaper, so that it is tried again
        some time after a hiccup made it look dear.

        Args:
            best: Where on the ladder to begin.
            candidates: Size of the slate.
            explained: How many candidates are to be explained.
            left_ms: Milliseconds left; None means all the time there is.

        Returns:
            The rung to rank on; `given_order` when nothing better fits.
        """
        if left_ms is None:
            return best
        for rung in dict.fromkeys((best, "no_text")):
            if MARGIN * self.usual_ms(rung, candidates, explained) <= left_ms:
                return rung
            for key in (_key(_RANK, rung, candidates), _key(_EXPLAIN, rung, explained)):
                self._usual[key] = self._expected(key) * SHRINK_PER_SKIP
        return "given_order"

    def _learn(self, key: _Key, spent_ms: float) -> None:
        usual = self._usual.get(key, spent_ms)
        self._usual[key] = usual + WEIGHT_OF_NEWEST * (spent_ms - usual)

    def _expected(self, key: _Key) -> float:
        seen = {size: cost for (*what, size), cost in self._usual.items() if (*what,) == key[:2]}
        if not seen:
            return 0.0
        nearest = min(seen, key=lambda size: abs(size - key[2]))
        return seen[nearest] * 2.0 ** max(0, key[2] - nearest)


def _key(what: str, rung: Rung, size: int) -> _Key:
    return what, rung in {"full", "cached_text"}, size.bit_length()
