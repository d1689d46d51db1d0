"""Account of an import: rows read, kept, changed and set aside, with reasons; it adds up."""

import textwrap
from collections.abc import Mapping
from typing import Self

import polars as pl
from pydantic import BaseModel, Field, model_validator

EXAMPLE_LENGTH = 160


class ReasonCount(BaseModel, extra="forbid", frozen=True):
    """Number of rows of one ledger that share a reason."""

    reason: str = Field(min_length=1, description="Why, in words of the data.")
    rows: int = Field(ge=1, description="How many.")
    example: str = Field(description="One of them, as column=value.")


class Ledger(BaseModel, extra="forbid", frozen=True):
    """Rows of one kind, from the source to the workspace."""

    name: str = Field(min_length=1, description="What is counted, such as `sale lines`.")
    read: dict[str, int] = Field(description="Rows read, by file or by what they come from.")
    kept: int = Field(ge=0, description="Rows that went on.")
    set_aside: tuple[ReasonCount, ...] = Field((), description="Rows that did not, by reason.")
    changed: tuple[ReasonCount, ...] = Field(
        (), description="Rows kept in another form, by reason."
    )

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        read, aside = sum(self.read.values()), sum(count.rows for count in self.set_aside)
        if read != self.kept + aside:
            message = f"{self.name}: {read} read, but {self.kept} kept + {aside} set aside"
            raise ValueError(message)
        return self


class ImportReport(BaseModel, extra="forbid", frozen=True):
    """The account of one import, saved as `import_report.json` in the workspace."""

    workspace: str = Field(min_length=1, description="Name of the data set.")
    ledgers: tuple[Ledger, ...] = Field(description="One for each kind of row read or drawn.")
    tables: dict[str, int] = Field(description="Rows written, by table.")

    def rows(self) -> list[tuple[str, str, int, str]]:
        """List the account for a table: what, what became of it, number of rows, one example."""
        table = []
        for ledger in self.ledgers:
            name = ledger.name
            table += [(name, f"read from {source}", n, "") for source, n in ledger.read.items()]
            table.append((name, "kept", ledger.kept, ""))
            for fate, counts in (("set aside", ledger.set_aside), ("changed", ledger.changed)):
                table += [(name, f"{fate}: {c.reason}", c.rows, c.example) for c in counts]
        return table + [(name, "written", n, "") for name, n in self.tables.items()]


class Tally:
    """Counts of the rows that an importer sets aside or changes, by reason.

    A row is counted under the first reason that applies to it, so the reasons add up.
    """

    def __init__(self, name: str, read: Mapping[str, int]) -> None:
        self._name = name
        self._read = dict(read)
        self._set_aside: list[ReasonCount] = []
        self._changed: list[ReasonCount] = []

    def set_aside(self, frame: pl.DataFrame, where: pl.Expr, reason: str) -> pl.DataFrame:
        """Give the rows for which `where` is not true, and count the others under `reason`."""
        leaves = frame.select(where.fill_null(value=False)).to_series()
        self._count(self._set_aside, frame.filter(leaves), reason)
        return frame.filter(~leaves)

    def changed(self, frame: pl.DataFrame, where: pl.Expr, reason: str) -> None:
        """Count the rows for which `where` is true as kept in another form."""
        self._count(self._changed, frame.filter(where), reason)

    def close(self, kept: int) -> Ledger:
        """Give the ledger once `kept` rows have gone on; a `ValueError` if it does not add up."""
        return Ledger(
            name=self._name,
            read=self._read,
            kept=kept,
            set_aside=tuple(self._set_aside),
            changed=tuple(self._changed),
        )

    @staticmethod
    def _count(counts: list[ReasonCount], rows: pl.DataFrame, reason: str) -> None:
        if rows.height:
            first = rows.row(0, named=True)
            example = ", ".join(f"{key}={value}" for key, value in first.items())
            short = textwrap.shorten(example, EXAMPLE_LENGTH, placeholder=" ...")
            counts.append(ReasonCount(reason=reason, rows=rows.height, example=short))
