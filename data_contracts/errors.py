"""Errors by whose fault they are: the data's, the caller's, a bundle's, or a leak into training."""


class RecsysError(Exception):
    """An error a person can act on: what was found, what was expected, what to do.

    Args:
        found: What was found in the data, the call or the folder.
        expected: What should have stood there.
        action: What the reader can do about it.
    """

    def __init__(self, found: str, expected: str, action: str) -> None:
        super().__init__(found, expected, action)
        self.found = found
        self.expected = expected
        self.action = action

    def __str__(self) -> str:
        return f"found: {self.found}; expected: {self.expected}; what to do: {self.action}"


class DataError(RecsysError):
    """A table, a file or a folder does not hold what its contract says."""


class UsageError(RecsysError):
    """A command or a call was made with arguments that do not fit."""


class BundleError(RecsysError):
    """A bundle is incomplete, changed, or not of a version this program reads."""


class LeakError(RecsysError):
    """A model saw, in training, labels of the time it is about to be used on."""
