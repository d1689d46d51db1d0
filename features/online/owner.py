"""The one thread that may use a state."""

from threading import Lock, current_thread, get_ident


class OwnerThread:
    """The first thread that asks owns, until it hands over; every other is refused.

    Compiled loops run without the interpreter's lock, and tables and scratch arrays are shared by
    all calls: two threads at once would get wrong numbers, and no exception.
    """

    def __init__(self) -> None:
        self._owner: int | None = None
        self._name = ""
        self._taking = Lock()

    def require(self) -> None:
        """Check that this thread is the owner, or make it so when there is none.

        Raises:
            RuntimeError: Another thread is.
        """
        if self._owner != get_ident():
            self._take()

    def hand_over(self) -> None:
        """Let the next thread that asks be the owner.

        Raises:
            RuntimeError: This thread is not the owner.
        """
        self.require()
        self._owner = None

    def _take(self) -> None:
        with self._taking:
            if self._owner is None:
                self._owner, self._name = get_ident(), current_thread().name
                return
        message = (
            f"found: a call from the thread {current_thread().name}; expected: the thread "
            f"{self._name}, which used this state first; what to do: make all calls from one "
            "thread, hand the state over, or load it once a thread"
        )
        raise RuntimeError(message)
