"""Search for entities by id, name, synonym or words: the full-text indexes find, and what they found is ranked."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kg.dialect import Dialect
from kg.ontology import Ontology

Rows = Callable[[str, Mapping[str, Any]], Awaitable[list[dict[str, Any]]]]

_MATCHES = ("id", "name", "synonym", "full-text")
_RETURNED = "n.id AS id, n.name AS name, labels(n) AS labels, n.synonyms AS synonyms, n.obsolete AS obsolete"
_WORD = re.compile(r"(\w+)(?:['’]s\b)?")
_MAX_WORDS = 16
_MIN_PREFIX = 2
_MIN_FUZZY = 5
_MAX_INEXACT = 50
"""Characters of a word that may be inexact; Lucene refuses far longer ones."""


async def search(
    rows: Rows, dialect: Dialect, ontology: Ontology, text: str, labels: Sequence[str], limit: int
) -> list[dict[str, Any]]:
    """Entities by id, name, synonym or words, the best first; see `GraphStore.search`.

    What has all words comes first; if that is not enough, what has them with the last one as a prefix; if there is
    nothing at all, what has words of at most one letter's difference. Obsolete entities come last of their kind.

    Args:
        rows: runs a reading query.
        dialect: says which full-text indexes there are.
        ontology: the schema.
        text: what the user typed.
        labels: only entities with one of these classes, if there are any.
        limit: at most so many.

    Raises:
        OntologyError: a label is unknown.
    """
    for label in labels:
        ontology.labels([label])
    where = f"WHERE n:{'|'.join(sorted(set(labels)))} " if labels else ""
    asked = text.strip()
    found = await rows(f"MATCH (n:Entity {{id: $id}}) {where}RETURN {_RETURNED}", {"id": asked})
    hits = {row["id"]: row | {"score": 1.0, "match": "id", "try": 0} for row in found}
    for number, query in enumerate(_queries(_WORD.findall(text.lower())[:_MAX_WORDS])):
        if len(hits) >= limit or (hits and "~" in query):
            break
        for index in dialect.text_indexes(ontology):
            found = await rows(
                f"CALL db.index.fulltext.queryNodes($index, $text) YIELD node, score WITH node AS n, score {where}"
                f"RETURN {_RETURNED}, score ORDER BY score DESC, id LIMIT $limit",
                {"index": index, "text": query, "limit": 2 * limit + 20},
            )
            for row in found:
                known = hits.setdefault(row["id"], row | {"match": _match(asked, row), "try": number})
                if known["match"] != "id":
                    known["score"] = max(known["score"], row["score"])
    ranked = sorted(
        hits.values(),
        key=lambda h: (_MATCHES.index(h["match"]), bool(h["obsolete"]), h["try"], -h["score"], h["id"]),
    )
    return [
        {
            "id": hit["id"],
            "name": hit["name"],
            "labels": list(ontology.labels(set(hit["labels"]) & ontology.classes.keys())),
            "score": hit["score"],
            "match": hit["match"],
        }
        for hit in ranked[:limit]
    ]


def _queries(words: list[str]) -> list[str]:
    """What to ask the indexes, in Lucene's syntax, of which both databases read this part."""
    if not words:
        return []
    queries = [" ".join(f"+{word}" for word in words)]
    if max(map(len, words)) > _MAX_INEXACT:
        return queries
    if len(words[-1]) >= _MIN_PREFIX:
        queries.append(f"{queries[0]}*")
    if any(len(word) >= _MIN_FUZZY for word in words):
        queries.append(" ".join(f"+{word}~1" if len(word) >= _MIN_FUZZY else f"+{word}" for word in words))
    return queries


def _match(asked: str, row: Mapping[str, Any]) -> str:
    folded = asked.casefold()
    if (row["name"] or "").casefold() == folded:
        return "name"
    return "synonym" if folded in (synonym.casefold() for synonym in row["synonyms"] or ()) else "full-text"
