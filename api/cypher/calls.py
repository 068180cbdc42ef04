"""Bounds of the arguments of functions whose value or time can be far larger than what they are given."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from api.cypher.cursor import Cursor, Part
from api.cypher.tokens import Kind, Token

MAX_RANGE = 1_000
"""Items of a literal `range`; a longer list is a parameter, which has a size limit of its own."""

MAX_PATTERN = 200
_REPEATS = 2
_ALTERNATIVES = 8
_ESCAPED = ".^$*+?()[]{}|\\/-dDwWsSbB"
_PIECE = re.compile(
    r"(?P<escaped>\\.)|(?P<class>\[(?:\\.|[^\]\\])*\])|(?P<repeat>[*+?]|\{\d{0,3},?\d{0,3}\})|(?P<other>.)", re.DOTALL
)
_FLAGS = re.compile(r"^\(\?[imsu]+\)")


class Argument(NamedTuple):
    """One argument of a call, and its tokens."""

    part: Part
    tokens: tuple[Token, ...]

    def literal(self) -> int | None:
        """Its value if it is an integer literal, else None."""
        tokens = self.tokens
        sign = -1 if tokens[0].value == "-" and tokens[0].kind is Kind.SYMBOL else 1
        digits = tokens[1:] if sign < 0 else tokens
        if len(digits) != 1 or digits[0].kind is not Kind.INTEGER:
            return None
        return sign * int(digits[0].value, 0)


def check_range(cursor: Cursor, start: Token, arguments: list[Argument]) -> int:
    """Refuses ranges that are not small: each end is a literal, or `size(…)` or `length(…)` with a literal offset.

    Returns:
        The number of items, or 1 where a size, hence the data, bounds it.
    """
    if len(arguments) not in (2, 3):
        cursor.refuse("range() takes two or three arguments", start)
    ends = [argument.literal() for argument in arguments[:2]]
    step = arguments[2].literal() if len(arguments) == 3 else 1
    if not step:
        cursor.refuse("the step of range() is not an integer literal other than 0", start)
    for end, argument in zip(ends, arguments[:2], strict=True):
        if end is None and not _is_size(argument.tokens):
            cursor.refuse("an end of range() is neither an integer literal nor size(…) or length(…)", start)
    literal = [end for end in ends if end is not None]
    items = abs(literal[1] - literal[0]) // abs(step) + 1 if len(literal) == 2 else max(map(abs, literal), default=1)
    if items > MAX_RANGE:
        cursor.refuse(f"range() of {items:,} items; at most {MAX_RANGE:,}", start)
    return items if len(literal) == 2 else 1


def _is_size(tokens: tuple[Token, ...]) -> bool:
    if tokens[0].upper not in ("SIZE", "LENGTH") or len(tokens) < 4 or tokens[1].value != "(":
        return False
    depth = 0
    for index, token in enumerate(tokens[1:], start=1):
        if token.kind is Kind.SYMBOL:
            depth += {"(": 1, ")": -1}.get(token.value, 0)
        if depth == 0:
            rest = tokens[index + 1 :]
            break
    if not rest:
        return True
    return len(rest) == 2 and rest[0].value in ("+", "-") and rest[1].kind is Kind.INTEGER and len(rest[1].value) <= 3


def replacement_growth(cursor: Cursor, start: Token, arguments: list[Argument]) -> int:
    """How many times longer `replace` can make its text; refuses a replacement that is not a literal."""
    if len(arguments) != 3:
        cursor.refuse("replace() takes three arguments", start)
    searched, replacement = ([*argument.tokens] for argument in arguments[1:])
    if len(replacement) != 1 or replacement[0].kind is not Kind.STRING:
        cursor.refuse("the replacement of replace() is not a string literal", start)
    longer = len(replacement[0].value)
    if len(searched) == 1 and searched[0].kind is Kind.STRING and 0 < longer <= len(searched[0].value):
        return 1
    return longer + 1


def check_pattern(cursor: Cursor) -> None:
    """Refuses regular expressions that Java's backtracking matcher may take very long for.

    Allowed are literals without repeated groups and back references, with at most two repeats (`*`, `+`, `?`,
    `{m,n}`), not counting a last `.*`: the number of ways to match grows with the length of the text to the power of
    the repeats, and doubles with each alternative.
    """
    token, after = cursor.token, cursor.ahead(1)
    if token.kind is not Kind.STRING or (after.kind is Kind.SYMBOL and after.value in ("+", "||", ".", "[")):
        cursor.refuse("the regular expression after =~ is not one string literal")
    if len(token.value) > MAX_PATTERN:
        cursor.refuse(f"a regular expression of more than {MAX_PATTERN} characters")
    pieces = [(match.lastgroup, match.group()) for match in _PIECE.finditer(_FLAGS.sub("", token.value, count=1))]
    if pieces[-2:] == [("other", "."), ("repeat", "*")]:
        del pieces[-2:]
    for (_, before), (kind, piece) in pairwise([("", ""), *pieces]):
        if kind == "escaped" and piece[1] not in _ESCAPED:
            cursor.refuse(f"{piece} in a regular expression")
        if kind == "repeat" and before == "(":
            cursor.refuse("a special group (?…) in a regular expression")
        if kind == "repeat" and before == ")":
            cursor.refuse("a repeated group in a regular expression")
    repeats = sum(kind == "repeat" for kind, _ in pieces)
    if repeats > _REPEATS:
        cursor.refuse(f"{repeats} repeats in a regular expression; at most {_REPEATS}, and a last .*")
    if pieces.count(("other", "|")) > _ALTERNATIVES:
        cursor.refuse(f"more than {_ALTERNATIVES} alternatives in a regular expression")
