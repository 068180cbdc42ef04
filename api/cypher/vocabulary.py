"""Which words, functions and procedures a query may use. What is not listed here is refused."""

from __future__ import annotations

from typing import NamedTuple

READING_CLAUSES = ("MATCH", "OPTIONAL", "UNWIND", "WITH", "CALL", "RETURN")

REFUSED_CLAUSES = {
    **dict.fromkeys(
        ("CREATE", "INSERT", "MERGE", "SET", "DELETE", "DETACH", "NODETACH", "REMOVE", "FOREACH"), "writes"
    ),
    "LOAD": "reads files and addresses outside the graph",
    "USE": "chooses another graph",
    **dict.fromkeys(("EXPLAIN", "PROFILE", "CYPHER"), "sets how the database runs a query"),
    **dict.fromkeys(("BEGIN", "COMMIT", "ROLLBACK", "SESSION", "START"), "steers the transaction or the session"),
    **dict.fromkeys(("DROP", "ALTER", "RENAME"), "changes the schema or the server"),
    **dict.fromkeys(("SHOW", "TERMINATE", "GRANT", "DENY", "REVOKE", "STOP", "ENABLE"), "administers the server"),
    **dict.fromkeys(("DRYRUN", "DEALLOCATE", "REALLOCATE"), "administers the server"),
    "DEFINE": "defines functions and procedures",
    "USING": "overrules the planner",
}
"""Only for the wording of a refusal: every word that the grammar does not expect is refused, listed or not."""

RESERVED = {
    *READING_CLAUSES,
    *("CREATE", "INSERT", "MERGE", "SET", "DELETE", "DETACH", "NODETACH", "REMOVE", "FOREACH", "LOAD", "DROP"),
    *("WHERE", "UNION", "YIELD", "AS", "ORDER", "SKIP", "LIMIT", "DISTINCT", "CASE", "WHEN", "THEN", "ELSE"),
    *("NOT", "AND", "OR", "XOR", "IN", "IS", "STARTS", "ENDS", "CONTAINS", "TRUE", "FALSE", "NULL"),
}
"""Words that name a variable only in backticks."""

_AGGREGATES = "avg collect count max min percentileCont percentileDisc stDev stDevP sum"
_GRAPH = (
    "elementId endNode id keys labels length nodes properties relationships startNode type "
    "coalesce head isEmpty last nullIf range reverse size tail timestamp valueType randomUUID"
)
_CONVERSION = (
    "toBoolean toBooleanList toBooleanOrNull toFloat toFloatList toFloatOrNull toInteger toIntegerList "
    "toIntegerOrNull toString toStringList toStringOrNull"
)
_MATHEMATICS = (
    "abs acos asin atan atan2 ceil cos cot degrees e exp floor haversin isNaN log log10 pi radians rand round sign "
    "sin sqrt tan"
)
_TEXT = (
    "btrim char_length character_length left lower ltrim normalize replace right rtrim split substring toLower "
    "toUpper trim upper"
)
_TIME = (
    "date date.truncate datetime datetime.fromEpoch datetime.fromEpochMillis datetime.truncate duration "
    "duration.between duration.inDays duration.inMonths duration.inSeconds localdatetime localdatetime.truncate "
    "localtime localtime.truncate time time.truncate"
)
_SPACE = "point point.distance point.withinBBox vector.similarity.cosine vector.similarity.euclidean"

FUNCTIONS = {
    name.lower(): name
    for name in " ".join((_AGGREGATES, _GRAPH, _CONVERSION, _MATHEMATICS, _TEXT, _TIME, _SPACE)).split()
}
"""Lower-case name → the spelling that is sent. All are built in, read nothing but their arguments and the clock, and
make a value of at most the size of their arguments, but for `range` and `replace`, whose arguments are bounded."""

QUANTIFIERS = ("ALL", "ANY", "NONE", "SINGLE")


class Procedure(NamedTuple):
    """A procedure that may be called: its name as sent, the columns it gives, and how many arguments it takes."""

    name: str
    results: tuple[str, ...]
    least: int = 0
    most: int = 0
    counted: int | None = None
    """Which argument says how many results there shall be, if one does."""


PROCEDURES = {
    procedure.name.lower(): procedure
    for procedure in (
        Procedure("db.labels", ("label",)),
        Procedure("db.relationshipTypes", ("relationshipType",)),
        Procedure("db.propertyKeys", ("propertyKey",)),
        Procedure("db.schema.visualization", ("nodes", "relationships")),
        Procedure("db.index.fulltext.queryNodes", ("node", "score"), 2, 3),
        Procedure("db.index.fulltext.queryRelationships", ("relationship", "score"), 2, 3),
        Procedure("db.index.vector.queryNodes", ("node", "score"), 3, 3, counted=1),
        Procedure("db.index.vector.queryRelationships", ("relationship", "score"), 3, 3, counted=1),
    )
}
"""Lower-case name → procedure. All are built in and of mode READ, and touch at most an index or the counts store."""
