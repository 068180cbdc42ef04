"""Grammar of patterns: what MATCH, EXISTS { } and pattern comprehensions look for.

pattern      = [ variable "=" ] ( "shortestPath" | "allShortestPaths" ) "(" path ")"  |  [ variable "=" ] path
path         = node { relation node }
node         = "(" [ variable ] [ labels ] [ map ] [ WHERE expression ] ")"
relation     = [ "<" ] "-" [ "[" [ variable ] [ labels ] [ length ] [ map ] [ WHERE expression ] "]" ] "-" [ ">" ]
               [ quantifier ]
length       = "*" ( integer | [ integer ] ".." integer )               at most 4
quantifier   = "{" ( integer | [ integer ] "," integer ) "}"            at most 4
labels       = ":" alternative of "|", "&", ":", "!", "(" ")", "%" and names
"""

from __future__ import annotations

from abc import abstractmethod

from api.cypher.cursor import Cursor, Part
from api.cypher.tokens import Kind

MAX_LENGTH = 4
"""Relationships that one variable-length step may span: the number of paths grows with the power of it."""

MAX_NODES = 64
"""Nodes in all patterns of a query: the time of planning grows faster than their number, and nothing stops it."""

MAX_LABELS = 64
"""Labels in one label expression."""


class Patterns(Cursor):
    """Reads patterns."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = 0

    @abstractmethod
    def expression(self, *, bar: bool = True) -> Part:
        """Reads an expression; see `Expressions`."""

    @abstractmethod
    def map(self) -> Part:
        """Reads a map literal; see `Expressions`."""

    def pattern_list(self) -> str:
        """Reads patterns parted by commas."""
        texts = [self.pattern()]
        while self.accept(","):
            texts.append(self.pattern())
        return ", ".join(texts)

    def pattern(self) -> str:
        """Reads one pattern, with the variable of its path if it has one."""
        start = ""
        if self.is_variable() and self.is_symbol("=", distance=1):
            start = f"{self.sent(self.variable())} = "
            self.expect("=")
        if self.at_shortest_path():
            return start + self.shortest_path()
        if self.token.kind is Kind.WORD and not self.is_symbol("("):
            self.unexpected("a path that starts with '(' (SHORTEST, ANY, ALL and modes before a path are not read)")
        return start + self.path()

    def at_shortest_path(self) -> bool:
        """Whether `shortestPath(` or `allShortestPaths(` is next."""
        return self.token.upper in ("SHORTESTPATH", "ALLSHORTESTPATHS") and self.is_symbol("(", distance=1)

    def shortest_path(self) -> str:
        """Reads a shortest path, whose length must be bounded like any other."""
        name = "shortestPath" if self.token.upper == "SHORTESTPATH" else "allShortestPaths"
        self.at += 1
        self.expect("(")
        path = self.path()
        self.expect(")")
        return f"{name}({path})"

    def path(self) -> str:
        """Reads nodes and the relations between them."""
        texts = [self._node()]
        while self.is_symbol("-") or (self.is_symbol("<") and self.is_symbol("-", distance=1)):
            texts += [self._relation(), self._node()]
        if self.is_symbol("(", "{", "+", "*"):
            self.refuse("a quantified path; bound one relationship instead, as in -[:IS_A*1..4]->")
        return "".join(texts)

    def at_path(self) -> bool:
        """Whether the '(' that is next starts a path of two or more nodes, not an expression in brackets."""
        after = self.closing() + 1 - self.at
        arrow = 1 if self.is_symbol("<", distance=after) else 0
        line = self.is_symbol("-", distance=after + arrow) and self.is_symbol("-", "[", distance=after + arrow + 1)
        inside = 2 if self.is_variable(1) else 1
        return line and (self.is_symbol(")", ":", "{", distance=inside) or self.ahead(inside).upper == "WHERE")

    def labels(self, *, bar: bool = True) -> str:
        """Reads a label expression after its colon; `bar` is False where a '|' ends it."""
        texts = [self._label()]
        while self.is_symbol("&", ":") or (bar and self.is_symbol("|")):
            if len(texts) > 2 * MAX_LABELS:
                self.refuse(f"more than {MAX_LABELS} labels in one expression")
            symbol = self.token.value
            self.at += 1
            if symbol == "|":
                self.accept(":")
            texts += [symbol, self._label()]
        return "".join(texts)

    def _label(self) -> str:
        if self.accept("!"):
            if self.is_symbol("!"):
                self.unexpected("a label")
            return f"!{self._label()}"
        if self.accept("%"):
            return "%"
        if self.accept("("):
            text = self.labels()
            self.expect(")")
            return f"({text})"
        if self.is_symbol("$"):
            self.refuse("a dynamic label; write the label itself")
        return self.key("a label or type")

    def _node(self) -> str:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.refuse(f"more than {MAX_NODES} nodes in the patterns of one query")
        if self.is_symbol("(") and (self.is_symbol("(", distance=1) or self.is_symbol("=", distance=2)):
            self.refuse("a path in brackets; only nodes stand in round brackets here")
        self.expect("(")
        text = self._filling(length=False)
        self.expect(")")
        return f"({text})"

    def _relation(self) -> str:
        left = "<" if self.accept("<") else ""
        self.expect("-")
        text = ""
        if self.accept("["):
            text = f"[{self._filling(length=True)}]"
            self.expect("]")
        self.expect("-")
        right = ">" if self.accept(">") else ""
        return f"{left}-{text}-{right}{self._quantifier()}"

    def _filling(self, *, length: bool) -> str:
        texts = []
        if self.is_variable():
            texts.append(self.sent(self.variable()))
        if self.accept(":"):
            texts.append(f":{self.labels()}")
        if length and self.accept("*"):
            texts.append(self._length())
        if self.is_symbol("{"):
            texts.append(f" {self.map().text}")
        if self.is_symbol("$"):
            self.refuse("a parameter as the properties of a pattern; write {key: $value}")
        if self.accept_word("WHERE"):
            texts.append(f" WHERE {self.expression().text}")
        return "".join(texts)

    def _length(self) -> str:
        star = self.tokens[self.at - 1]
        low = self.integer("a length") if self.token.kind is Kind.INTEGER else None
        if not self.accept(".."):
            if low is None:
                self.refuse(f"a path without bound; write *1..{MAX_LENGTH} or less", star)
            self._bounded(low, low)
            return f"*{low}"
        if self.token.kind is not Kind.INTEGER:
            self.refuse(f"a path without upper bound; write *1..{MAX_LENGTH} or less", star)
        high = self.integer("a length")
        self._bounded(low, high)
        return f"*{'' if low is None else low}..{high}"

    def _quantifier(self) -> str:
        if self.is_symbol("+", "*"):
            self.refuse(f"a relationship repeated without bound; write {{1,{MAX_LENGTH}}} or less")
        if not self.accept("{"):
            return ""
        low = self.integer("a number") if self.token.kind is Kind.INTEGER else None
        if low is not None and self.accept("}"):
            self._bounded(low, low)
            return f"{{{low}}}"
        self.expect(",")
        if self.token.kind is not Kind.INTEGER:
            self.refuse(f"a relationship repeated without upper bound; write {{1,{MAX_LENGTH}}} or less")
        high = self.integer("a number")
        self.expect("}")
        self._bounded(low, high)
        return f"{{{'' if low is None else low},{high}}}"

    def _bounded(self, low: int | None, high: int) -> None:
        if high > MAX_LENGTH or (low or 0) > MAX_LENGTH:
            self.refuse(f"a path of up to {max(high, low or 0)} relationships; at most {MAX_LENGTH}")
