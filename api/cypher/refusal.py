"""The one error of the Cypher guard."""

from __future__ import annotations

from kg.errors import InputError


class CypherRefused(InputError):  # noqa: N818 (the query's fate, as callers read it)
    """The query is not among those that Evigraph runs; says which construct and where it stands.

    Args:
        reason: the construct and why it is refused, in one sentence.
        line, column: where it stands, from 1; both 0 where no place in the text is meant (a parameter's value).
    """

    def __init__(self, reason: str, line: int = 0, column: int = 0) -> None:
        super().__init__(reason, f"line {line}, column {column}" if line else "")
        self.line = line
        self.column = column
