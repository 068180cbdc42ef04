"""Grammar of clauses.

query        = single { UNION [ ALL | DISTINCT ] single } [ ";" ]
single       = { clause } RETURN body  |  CALL procedure
clause       = [ OPTIONAL ] MATCH pattern { "," pattern } [ WHERE expression ]
             | UNWIND expression AS variable
             | CALL procedure "(" arguments ")" YIELD name [ AS variable ] { "," … } [ WHERE expression ]
             | WITH body [ WHERE expression ]
body         = [ DISTINCT ] ( "*" | item ) { "," item } [ ORDER BY … ] [ SKIP n ] [ LIMIT n ]
item         = expression [ AS name ]
"""

from __future__ import annotations

from api.cypher.calls import Argument
from api.cypher.expressions import MAX_GROWTH_OF_MATCHED, Expressions
from api.cypher.tokens import Kind
from api.cypher.vocabulary import PROCEDURES

MAX_ROWS = 1_000
"""Rows that a query returns."""

MAX_CLAUSES = 64
MAX_COLUMNS = 200
MAX_RESULTS = 1_000
"""Results that an index search may be asked for."""


class Clauses(Expressions):
    """Reads a whole query."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.columns: tuple[str, ...] | None = None
        self.counted: set[str] = set()
        """Parameters that say how many results an index search gives."""

    def query(self) -> str:
        """Reads the query to its end; gives the text to be sent."""
        start = self.token
        text = self._union(top=True, needs_return=True)
        if self.accept(";") and self.token.kind is not Kind.END:
            self.refuse("a second statement after ';'")
        if self.token.kind is not Kind.END:
            self.unexpected("a reading clause (MATCH, OPTIONAL MATCH, WHERE, UNWIND, WITH, CALL, RETURN, UNION)")
        if self.matched and self.largest > MAX_GROWTH_OF_MATCHED:
            self.refuse("a regular expression together with values that grow (concatenation, ranges, loops)", start)
        return text

    def subquery(self, kind: str) -> str:
        """Reads what stands in EXISTS { }, COUNT { } or COLLECT { }: a query, or for the first two a pattern."""
        growth = self.growth
        if kind != "COLLECT" and (self.is_symbol("(") or self.is_symbol("=", distance=1) or self.at_shortest_path()):
            text = self.pattern_list() + self._where()
        else:
            text = self._union(top=False, needs_return=kind == "COLLECT")
        self.growth = growth
        return text

    def _union(self, *, top: bool, needs_return: bool) -> str:
        growth = self.growth
        texts = [self._single(top=top, needs_return=needs_return)]
        while self.accept_word("UNION"):
            texts.append("UNION ALL" if self.accept_word("ALL") else "UNION")
            if texts[-1] == "UNION":
                self.accept_word("DISTINCT")
            self.growth = growth
            texts.append(self._single(top=top, needs_return=needs_return))
            if len(texts) > MAX_CLAUSES:
                self.refuse(f"more than {MAX_CLAUSES // 2} queries in one UNION")
        return " ".join(texts)

    def _single(self, *, top: bool, needs_return: bool) -> str:
        texts: list[str] = []
        while len(texts) <= MAX_CLAUSES:
            token = self.token
            if self.accept_word("RETURN"):
                return " ".join([*texts, f"RETURN {self._body(top=top, returns=True)}"])
            if self.accept_word("OPTIONAL", "MATCH"):
                texts.append(f"OPTIONAL MATCH {self.pattern_list()}{self._where()}")
            elif self.accept_word("MATCH"):
                texts.append(f"MATCH {self.pattern_list()}{self._where()}")
            elif self.accept_word("UNWIND"):
                texts.append(self._unwind())
            elif self.accept_word("WITH"):
                texts.append(f"WITH {self._body(top=False, returns=False)}{self._where()}")
            elif self.accept_word("CALL"):
                if self.is_symbol("{", "("):
                    self.refuse("CALL { } runs a subquery; use EXISTS { }, COUNT { } or COLLECT { }", token)
                if not top:
                    self.refuse("a procedure inside a subquery", token)
                texts.append(self._procedure(alone=not texts))
                if "YIELD" not in texts[-1] and self.token.kind is not Kind.END and not self.is_symbol(";"):
                    self.unexpected("YIELD")
                if len(texts) == 1 and (self.token.kind is Kind.END or self.is_symbol(";")):
                    return texts[0]
            elif texts and not needs_return and self.is_symbol("}"):
                return " ".join(texts)
            else:
                self.unexpected(
                    "RETURN" if texts else "a reading clause (MATCH, OPTIONAL MATCH, UNWIND, WITH, CALL, RETURN)"
                )
        self.refuse(f"more than {MAX_CLAUSES} clauses")

    def _where(self) -> str:
        return f" WHERE {self.expression().text}" if self.accept_word("WHERE") else ""

    def _unwind(self) -> str:
        counts = self.token.upper == "RANGE"
        source = self.expression()
        self.expect_word("AS")
        name = self.variable()
        self.growth = {**self.growth, name: 1 if counts else source.growth}
        return f"UNWIND {source.text} AS {self.sent(name)}"

    def _body(self, *, top: bool, returns: bool) -> str:
        text = "DISTINCT " if self.accept_word("DISTINCT") else ""
        items: list[str] = []
        names: list[str] = []
        growth: dict[str, int] = {}
        star = self.accept("*")
        if star:
            items.append("*")
            growth.update(self.growth)
        while not star or self.accept(","):
            star = True
            if len(items) >= MAX_COLUMNS:
                self.refuse(f"more than {MAX_COLUMNS} columns")
            start = self.token.start
            plain = self.is_variable()
            value = self.expression()
            end = self.tokens[self.at - 1].end
            column = self.source[start:end]
            if self.accept_word("AS"):
                name = self.name("a name")
                items.append(f"{value.text} AS {self.sent(name)}")
            elif plain and self.tokens[self.at - 1].start == start:
                name = self.tokens[self.at - 1].value
                items.append(value.text)
            elif top:
                name = " ".join(column.split())
                items.append(f"{value.text} AS c{len(items) + 1}")
            else:
                name = ""
                items.append(value.text)
            names.append(name)
            growth[name] = value.growth
        if top and self.columns is None:
            self.columns = () if items[0] == "*" else tuple(names)
        self.growth = {**self.growth, **growth}
        text += ", ".join(items) + self._order() + self._count("SKIP", "OFFSET") + self._limit(top=top)
        if not returns:
            self.growth = growth
        return text

    def _order(self) -> str:
        if not self.accept_word("ORDER", "BY"):
            return ""
        items: list[str] = []
        while not items or self.accept(","):
            text = self.expression().text
            if self.accept_word("DESC") or self.accept_word("DESCENDING"):
                text += " DESC"
            elif self.accept_word("ASC") or self.accept_word("ASCENDING"):
                text += " ASC"
            items.append(text)
        return f" ORDER BY {', '.join(items)}"

    def _count(self, *words: str) -> str:
        if not any(self.accept_word(word) for word in words):
            return ""
        return f" {words[0]} {self._number()}"

    def _number(self) -> str:
        return self.parameter() if self.accept("$") else str(self.integer("an integer or a parameter"))

    def _limit(self, *, top: bool) -> str:
        """The LIMIT; where the query has none, or a larger one, one more than the rows that are returned."""
        if not top:
            return self._count("LIMIT")
        if not self.accept_word("LIMIT"):
            return f" LIMIT {MAX_ROWS + 1}"
        number = self._number()
        return f" LIMIT {number if number.startswith('$') else min(int(number), MAX_ROWS + 1)}"

    def _procedure(self, *, alone: bool) -> str:
        start = self.token
        names: list[str] = []
        while not names or self.accept("."):
            if self.token.kind is not Kind.WORD:
                self.unexpected("the name of a procedure, without backticks")
            names.append(self.token.value)
            self.at += 1
        name = ".".join(names)
        procedure = PROCEDURES.get(name.lower())
        if procedure is None:
            self.refuse(f"{name} is not among the procedures that may be called", start)
        if procedure.most:
            self.expect("(")
            arguments = self.arguments()
        else:
            arguments = self.arguments() if self.accept("(") else []
        if not procedure.least <= len(arguments) <= procedure.most:
            self.refuse(f"{procedure.name} takes {procedure.least} to {procedure.most} arguments", start)
        if procedure.counted is not None:
            self._check_counted(arguments[procedure.counted])
        text = f"CALL {procedure.name}({', '.join(argument.part.text for argument in arguments)})"
        if not self.accept_word("YIELD"):
            return text
        if alone and self.accept("*"):
            return text
        items: list[str] = []
        while not items or self.accept(","):
            item = self.name("the name of a result")
            if item not in procedure.results:
                self.refuse(f"{procedure.name} gives {', '.join(procedure.results)}, not {item}", start)
            variable = self.variable() if self.accept_word("AS") else item
            items.append(f"{item} AS {self.sent(variable)}")
        return f"{text} YIELD {', '.join(items)}{self._where()}"

    def _check_counted(self, argument: Argument) -> None:
        tokens = argument.tokens
        if len(tokens) == 2 and tokens[0].value == "$":
            self.counted.add(tokens[1].value)
            return
        number = argument.literal()
        if number is None or not 0 < number <= MAX_RESULTS:
            self.refuse(f"the number of results is neither a parameter nor between 1 and {MAX_RESULTS:,}", tokens[0])
