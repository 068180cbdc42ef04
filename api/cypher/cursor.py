"""The cursor over the tokens that the grammar moves, and what it gathers on the way."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from api.cypher.refusal import CypherRefused
from api.cypher.tokens import Kind, Token, place, tokenize
from api.cypher.vocabulary import REFUSED_CLAUSES, RESERVED

MAX_DEPTH = 32
"""Brackets inside one another; deeper ones could exhaust a stack, here or in the database."""

STRING_PREFIX = "__s"
"""Names of the parameters that stand for the query's strings; the caller's own names can't start with it."""

_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}|_[A-Za-z0-9][A-Za-z0-9_]{0,62}")
_PLAIN = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_OPEN, _CLOSE = "([{", ")]}"


class Part(NamedTuple):
    """A piece of the query as it will be sent.

    `growth` bounds how many times larger its value can be than the stored values, parameters and strings of which it
    is made: the sum over the operands of a chain, the product over a loop, the larger one of two branches.
    """

    text: str
    growth: int = 1


class Cursor:
    """Tokens of one query, where the grammar is among them, and the strings and parameters met so far."""

    def __init__(self, text: str) -> None:
        self.source = text
        self.tokens = tokenize(text)
        self.at = 0
        self.strings: dict[str, str] = {}
        self.parameters: set[str] = set()
        self.variables: dict[str, str] = {}
        """Variables of the user → as they are sent."""
        self._closing = self._match_brackets()

    @property
    def token(self) -> Token:
        """The token to be read next."""
        return self.tokens[self.at]

    def ahead(self, distance: int) -> Token:
        """The token `distance` after the next one; the END beyond it."""
        return self.tokens[min(self.at + distance, len(self.tokens) - 1)]

    def refuse(self, reason: str, token: Token | None = None) -> NoReturn:
        """Refuses the query for what stands at the token (default: the next one)."""
        raise CypherRefused(reason, *place(self.source, (token or self.token).start))

    def unexpected(self, expected: str) -> NoReturn:
        """Refuses the next token; if it starts a clause that is known to do harm, says so."""
        token = self.token
        if token.upper in REFUSED_CLAUSES:
            self.refuse(f"{token.upper} {REFUSED_CLAUSES[token.upper]}; only reading is allowed")
        found = "the end of the query" if token.kind is Kind.END else repr(self.source[token.start : token.end][:40])
        self.refuse(f"expected {expected}, found {found}")

    def accept(self, *symbols: str) -> bool:
        """Moves over these symbols if they are next, all of them."""
        for distance, symbol in enumerate(symbols):
            token = self.ahead(distance)
            if token.kind is not Kind.SYMBOL or token.value != symbol:
                return False
        self.at += len(symbols)
        return True

    def accept_word(self, *words: str) -> bool:
        """Moves over these keywords if they are next, all of them."""
        if any(self.ahead(distance).upper != word for distance, word in enumerate(words)):
            return False
        self.at += len(words)
        return True

    def expect(self, *symbols: str) -> None:
        """Moves over these symbols, or refuses."""
        if not self.accept(*symbols):
            self.unexpected(repr("".join(symbols)))

    def expect_word(self, word: str) -> None:
        """Moves over this keyword, or refuses."""
        if not self.accept_word(word):
            self.unexpected(word)

    def is_symbol(self, *symbols: str, distance: int = 0) -> bool:
        """Whether one of these symbols is next (or `distance` further)."""
        token = self.ahead(distance)
        return token.kind is Kind.SYMBOL and token.value in symbols

    def is_variable(self, distance: int = 0) -> bool:
        """Whether a name that may be a variable is next (or `distance` further)."""
        token = self.ahead(distance)
        return token.kind is Kind.QUOTED or (token.kind is Kind.WORD and token.upper not in RESERVED)

    def variable(self) -> str:
        """Reads a variable; gives its name without backticks."""
        if not self.is_variable():
            self.unexpected("a variable")
        self.at += 1
        return self.tokens[self.at - 1].value

    def name(self, what: str) -> str:
        """Reads a name in a place where it may be any word; gives it without backticks."""
        if self.token.kind not in (Kind.WORD, Kind.QUOTED):
            self.unexpected(what)
        self.at += 1
        return self.tokens[self.at - 1].value

    def key(self, what: str) -> str:
        """Reads a property key, label or type; gives it in backticks, so that it can't be read as a keyword."""
        return quoted(self.name(what))

    def sent(self, variable: str) -> str:
        """The variable as it is sent: with a prefix that no keyword has (ArcadeDB loses some that are in backticks)."""
        plain = _PLAIN.fullmatch(variable) is not None
        return self.variables.setdefault(variable, f"v_{variable}" if plain else f"u{len(self.variables)}")

    def integer(self, what: str) -> int:
        """Reads an unsigned integer."""
        if self.token.kind is not Kind.INTEGER:
            self.unexpected(what)
        self.at += 1
        return int(self.tokens[self.at - 1].value, 0)

    def parameter(self) -> str:
        """Reads the name of a parameter, after its `$`; gives it with the `$`."""
        token = self.token
        if token.kind is not Kind.WORD or not _PARAMETER.fullmatch(token.value):
            self.unexpected("the name of a parameter, ASCII letters, digits and _, at most 64 and not after '__'")
        self.at += 1
        self.parameters.add(token.value)
        return f"${token.value}"

    def string(self) -> str:
        """Reads a string, which becomes a parameter: no text of the user is ever lexed by the database."""
        name = f"{STRING_PREFIX}{len(self.strings)}"
        self.strings[name] = self.token.value
        self.at += 1
        return f"${name}"

    def closing(self) -> int:
        """Index of the bracket that closes the one which is next."""
        return self._closing[self.at]

    def _match_brackets(self) -> dict[int, int]:
        closing: dict[int, int] = {}
        opened: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.kind is not Kind.SYMBOL:
                continue
            if token.value in _OPEN:
                opened.append(index)
                if len(opened) > MAX_DEPTH:
                    self.refuse(f"brackets are nested more than {MAX_DEPTH} deep", token)
            elif token.value in _CLOSE:
                if not opened or _OPEN.index(self.tokens[opened[-1]].value) != _CLOSE.index(token.value):
                    self.refuse(f"{token.value!r} closes nothing", token)
                closing[opened.pop()] = index
        if opened:
            self.refuse("the bracket is not closed", self.tokens[opened[-1]])
        return closing


def quoted(name: str) -> str:
    """A name in backticks; those that are read have none inside."""
    return f"`{name}`"
