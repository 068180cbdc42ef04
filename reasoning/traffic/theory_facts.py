"""Statements that facts settle outright: to which category a sign belongs, and whom it bars.

`Il segnale vieta il transito agli autobus` is true of a sign that bars buses or all vehicles, false of one that bars
cyclists; of one that bars lorries above 3.5 t, a statement on all lorries is not settled, nor is one with a condition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reasoning.traffic.theory import TheoryBook

_FORBIDS = re.compile(r"viet|divieto|proib|non (è |sono )?(consent|permett|permess|ammess|può|possono)")
_PERMITS = re.compile(r"consent|permett|permess|ammess|\bpuò\b|\bpossono\b")
_NOT_FORBIDDEN = re.compile(r"non (è |sono )?(viet|proib)")
_PASSAGE = re.compile(r"transit|circola|accesso|passaggio|percorr|entrare")
_CONDITION = re.compile(
    r"\b(solo|soltanto|esclusivamente|unicamente|se|purché|salvo|eccetto|tranne|esclus\w+|durante|quando|or[ae]|nott\w+|"
    r"giorn\w+|trasport\w+|massa|tonnellate|larg\w+|alt[aoie]\b|altezz\w+|lung\w+|vuot\w+|caric\w+|rimorchi\w*|sosta\w*|"
    r"sorpass\w*|metri|velocità|senso|alcuni|residenti|autorizzat\w+|mano|spint\w+|fine|urban[oie])\b"
)
_CATEGORY = re.compile(r"^(il|i) \w+( \w+)? (raffigurat\w+|in figura|rappresentat\w+) (non )?è un segnale di (\w+)$")


@dataclass(frozen=True, slots=True)
class Settled:
    """A statement that a fact settles.

    Attributes:
        true: whether it is true.
        fact: the fact, in words.
        topic: id of the topic that has it.
    """

    true: bool
    fact: str
    topic: str


def settled(book: TheoryBook, statement: str, topic: str) -> Settled | None:
    """What facts of a topic say of a statement; None where they do not settle it."""
    text = statement.casefold().strip().rstrip(".")
    return _category(book, text, topic) or _barred(book, text, topic)


def _category(book: TheoryBook, text: str, topic: str) -> Settled | None:
    category = topic.partition(".")[0]
    found, names = _CATEGORY.match(text), book.categories[category].names
    if found is None or not names or not any(found[5] in each.names for each in book.categories.values()):
        return None
    return Settled((found[5] in names) != bool(found[4]), f"è un segnale di {', '.join(names)}", category)


def _barred(book: TheoryBook, text: str, topic: str) -> Settled | None:
    known = book.topics.get(topic)
    if known is None or not known.bars or not _PASSAGE.search(text):
        return None
    forbids = bool(_FORBIDS.search(text)) and not _NOT_FORBIDDEN.search(text)
    if not forbids and not (_PERMITS.search(text) or _NOT_FORBIDDEN.search(text)):
        return None
    said = book.road_users_in(text)
    rest = text
    for name, _ in said:
        rest = rest.replace(name, " ")
    users = {user for _, user in said}
    if not users or _CONDITION.search(rest):
        return None
    barred = {user: bool(book.broader_users(user) & set(known.bars)) for user in users}
    partly = {user for user in users if not barred[user] and any(user in book.broader_users(b) for b in known.bars)}
    if partly or len(set(barred.values())) > 1:
        return None
    names = ", ".join(sorted(book.road_users[user].name for user in known.bars))
    return Settled(barred[next(iter(users))] == forbids, f"vieta il transito: {names}", topic)
