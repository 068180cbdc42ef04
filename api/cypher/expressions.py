"""Grammar of expressions.

    expression   = { NOT | "+" | "-" } operand { operator { NOT | "+" | "-" } operand | IS [ NOT ] NULL }
    operand      = atom { "." key | "[" expression "]" | "[" [ expression ] ".." [ expression ] "]" }
    atom         = number | string | TRUE | FALSE | NULL | parameter | list | map | "(" expression ")" | case
                 | list comprehension | pattern comprehension | quantifier | reduce | call | path | shortest path
                 | EXISTS { } | COUNT { } | COLLECT { } | variable [ map projection | ":" labels ]

Precedence is left to the database: what is read is sent token by token in the same order, so that it sees the very
structure which the user wrote.
"""

from __future__ import annotations

import math
from abc import abstractmethod

from api.cypher.calls import Argument, check_pattern, check_range, replacement_growth
from api.cypher.cursor import Part, quoted
from api.cypher.patterns import Patterns
from api.cypher.tokens import Kind
from api.cypher.vocabulary import FUNCTIONS, QUANTIFIERS, RESERVED

MAX_GROWTH = 50_000
"""Bound of `Part.growth`: what is made of parameters or of the query's own strings stays below some 20 MB."""

MAX_GROWTH_OF_MATCHED = 100
"""The same where the query has a regular expression, whose time grows with the square of the text."""

MAX_OPERATORS = 200
"""Operators, properties and indexes in one chain; the database may take one stack frame for each."""

MAX_LOOPS = 2
"""Comprehensions, quantifiers and reduces inside one another: the database can't stop them between two rows."""

MAX_WORK = 1_000
"""Product of the growths of the lists of loops inside one another."""

MAX_CASES = 16

_BULK = 32
"""Growth of a parameter and of what was collected, as both may be long: a loop over one inside a loop over another is
more than `MAX_WORK`, and what is collected can be collected again only three times."""

_ARITHMETIC = ("+", "-", "*", "/", "%", "^", "||")
_COMPARISONS = ("=", "<>", "<", ">", "<=", ">=", "=~")
_COMPARING_WORDS = (("AND",), ("OR",), ("XOR",), ("IN",), ("STARTS", "WITH"), ("ENDS", "WITH"), ("CONTAINS",))
_ACCUMULATORS = (10**9, 10**30)
"""Growth of the accumulator of the outer and the inner reduce while its step is read: far beyond any other growth, so
that the step's growth, divided by it, says how often the accumulator is part of the new value."""


class Expressions(Patterns):
    """Reads expressions."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.growth: dict[str, int] = {}
        """Growth of the variables that are not just 1."""
        self.largest = 1
        self.loops: list[int] = []
        """Growths of the lists of the loops that we are in."""
        self.reduces = 0
        self.cases = 0
        self.matched = False

    @abstractmethod
    def subquery(self, kind: str) -> str:
        """Reads a subquery after its '{'; see `Clauses`."""

    def expression(self, *, bar: bool = True) -> Part:
        """Reads an expression; `bar` is False where a '|' ends it, rather than going on in a label expression."""
        start = self.token
        texts: list[str] = []
        growth, peak, operators, comparing = 0, 0, 0, False
        while True:
            comparing |= self._signs(texts)
            part = self._operand(bar=bar)
            texts.append(part.text)
            growth += part.growth
            peak = max(peak, growth)
            while self.accept_word("IS"):
                comparing = True
                texts.append("IS NOT NULL" if self.accept_word("NOT") else "IS NULL")
                self.expect_word("NULL")
            operator = self._operator()
            if not operator:
                break
            operators += 1
            if operators > MAX_OPERATORS:
                self.refuse(f"more than {MAX_OPERATORS} operators in one expression")
            if operator not in _ARITHMETIC:
                comparing, growth = True, 0
            texts.append(operator)
        if not self.reduces:
            if peak > MAX_GROWTH:
                self.refuse("the value can grow too large (concatenation, ranges or loops inside one another)", start)
            self.largest = max(self.largest, peak)
        return Part(" ".join(texts), 1 if comparing else growth)

    def map(self) -> Part:
        """Reads a map literal."""
        self.expect("{")
        entries: list[str] = []
        growth = 1
        while not self.accept("}"):
            if entries:
                self.expect(",")
            key = self.key("a key")
            self.expect(":")
            value = self.expression()
            entries.append(f"{key}: {value.text}")
            growth += value.growth
        return Part(f"{{{', '.join(entries)}}}", growth)

    def _signs(self, texts: list[str]) -> bool:
        negated = False
        for _ in range(4):
            if self.accept_word("NOT"):
                texts.append("NOT")
                negated = True
            elif self.is_symbol("-", "+"):
                texts.append(self.token.value)
                self.at += 1
            else:
                return negated
        self.refuse("more than three signs or NOTs in a row")

    def _operator(self) -> str:
        if self.is_symbol(*_ARITHMETIC, *_COMPARISONS):
            symbol = self.token.value
            self.at += 1
            if symbol == "=~":
                self.matched = True
                check_pattern(self)
            return symbol
        for words in _COMPARING_WORDS:
            if self.accept_word(*words):
                return " ".join(words)
        return ""

    def _operand(self, *, bar: bool) -> Part:
        text, growth = self._atom(bar=bar)
        for _ in range(MAX_OPERATORS):
            if self.accept("."):
                text += f".{self.key('a property')}"
            elif self.accept("["):
                low = "" if self.is_symbol("..") else self.expression().text
                if self.accept(".."):
                    high = "" if self.is_symbol("]") else self.expression().text
                    text += f"[{low}..{high}]"
                else:
                    text += f"[{low}]"
                self.expect("]")
            else:
                return Part(text, growth)
        self.refuse(f"more than {MAX_OPERATORS} properties and indexes in one chain")

    def _atom(self, *, bar: bool) -> Part:
        token = self.token
        if token.kind is Kind.STRING:
            return Part(self.string(), 1 + len(token.value) // 100)
        if token.kind in (Kind.INTEGER, Kind.FLOAT):
            self.at += 1
            return Part(token.value)
        if token.kind is Kind.SYMBOL:
            return self._bracketed()
        if token.kind is Kind.WORD:
            if token.upper in ("TRUE", "FALSE", "NULL"):
                self.at += 1
                return Part(token.upper.lower())
            if token.upper == "CASE":
                return self._case()
            if token.upper in ("EXISTS", "COUNT", "COLLECT") and self.is_symbol("{", distance=1):
                self.at += 1
                self.expect("{")
                text = self.subquery(token.upper)
                self.expect("}")
                return Part(f"{token.upper} {{ {text} }}", _BULK if token.upper == "COLLECT" else 1)
            if self.at_shortest_path():
                return Part(self.shortest_path())
            if self.is_symbol("(", distance=1) or self._at_namespace():
                return self._call()
        return self._variable(bar=bar)

    def _bracketed(self) -> Part:
        if self.accept("$"):
            return Part(self.parameter(), _BULK)
        if self.is_symbol("{"):
            return self.map()
        if self.is_symbol("["):
            return self._list()
        if self.is_symbol("("):
            if self.at_path():
                return Part(self.path())
            self.expect("(")
            part = self.expression()
            self.expect(")")
            return Part(f"({part.text})", part.growth)
        self.unexpected("an expression")

    def _variable(self, *, bar: bool) -> Part:
        if not self.is_variable():
            self.unexpected("an expression")
        name = self.variable()
        text, growth = self.sent(name), self.growth.get(name, 1)
        if self.is_symbol("{"):
            return self._projection(text, growth)
        if self.accept(":"):
            return Part(f"{text}:{self.labels(bar=bar)}")
        return Part(text, growth)

    def _projection(self, text: str, growth: int) -> Part:
        self.expect("{")
        entries: list[str] = []
        while not self.accept("}"):
            if entries:
                self.expect(",")
            if self.accept("."):
                entries.append(".*" if self.accept("*") else f".{self.key('a property')}")
            elif self.is_symbol(":", distance=1):
                key = self.key("a key")
                self.expect(":")
                value = self.expression()
                entries.append(f"{key}: {value.text}")
                growth += value.growth
            else:
                name = self.variable()
                entries.append(f"{quoted(name)}: {self.sent(name)}")
                growth += self.growth.get(name, 1)
        return Part(f"{text} {{{', '.join(entries)}}}", growth)

    def _list(self) -> Part:
        if self.is_variable(1) and self.ahead(2).upper == "IN":
            self.expect("[")
            name, source = self._loop_head()
            where = f" WHERE {self.expression(bar=False).text}" if self.accept_word("WHERE") else ""
            body = self.expression() if self.accept("|") else Part("")
            self._loop_end("]")
            text = f"[{self.sent(name)} IN {source.text}{where}{f' | {body.text}' if body.text else ''}]"
            return Part(text, source.growth * body.growth)
        if self._at_pattern_comprehension():
            return self._pattern_comprehension()
        self.expect("[")
        items: list[str] = []
        growth = 1
        while not self.accept("]"):
            if items:
                self.expect(",")
            item = self.expression()
            items.append(item.text)
            growth += item.growth
        return Part(f"[{', '.join(items)}]", growth)

    def _at_pattern_comprehension(self) -> bool:
        skipped = 3 if self.is_variable(1) and self.is_symbol("=", distance=2) else 1
        if not self.is_symbol("(", distance=skipped):
            return False
        start, self.at = self.at, self.at + skipped
        found = self.at_path()
        self.at = start
        return found

    def _pattern_comprehension(self) -> Part:
        self.expect("[")
        variable = ""
        if self.is_variable():
            variable = f"{self.sent(self.variable())} = "
            self.expect("=")
        path = self.path()
        where = f" WHERE {self.expression(bar=False).text}" if self.accept_word("WHERE") else ""
        self.expect("|")
        body = self.expression()
        self.expect("]")
        return Part(f"[{variable}{path}{where} | {body.text}]", _BULK * body.growth)

    def _case(self) -> Part:
        self.cases += 1
        if self.cases > MAX_CASES:
            self.refuse(f"CASE inside CASE more than {MAX_CASES} deep")
        self.expect_word("CASE")
        texts = ["CASE"]
        if self.token.upper != "WHEN":
            texts.append(self.expression().text)
        growths = [1]
        self.expect_word("WHEN")
        self.at -= 1
        while self.accept_word("WHEN"):
            conditions = [self.expression().text]
            while self.accept(","):
                conditions.append(self.expression().text)
            self.expect_word("THEN")
            value = self.expression()
            texts.append(f"WHEN {', '.join(conditions)} THEN {value.text}")
            growths.append(value.growth)
        if self.accept_word("ELSE"):
            value = self.expression()
            texts.append(f"ELSE {value.text}")
            growths.append(value.growth)
        self.expect_word("END")
        self.cases -= 1
        return Part(" ".join([*texts, "END"]), max(growths))

    def _at_namespace(self) -> bool:
        distance = 1
        while self.is_symbol(".", distance=distance) and self.ahead(distance + 1).kind is Kind.WORD:
            distance += 2
        return distance > 1 and self.is_symbol("(", distance=distance)

    def _call(self) -> Part:
        start = self.token
        names = [start.value]
        self.at += 1
        while self.accept("."):
            names.append(self.token.value)
            self.at += 1
        name = ".".join(names)
        if start.upper in QUANTIFIERS and len(names) == 1:
            return self._quantifier_call(start.upper.lower())
        if start.upper == "REDUCE" and len(names) == 1:
            return self._reduce()
        if start.upper == "EXISTS" and len(names) == 1:
            return self._old_exists()
        canonical = FUNCTIONS.get(name.lower())
        if canonical is None:
            if start.upper in RESERVED:
                self.at -= 1
                self.unexpected("an expression")
            self.refuse(f"{name}() is not among the functions that may be called", start)
        self.expect("(")
        if canonical == "count" and self.accept("*", ")"):
            return Part("count(*)")
        distinct = "DISTINCT " if self.accept_word("DISTINCT") else ""
        arguments = self.arguments()
        text = f"{canonical}({distinct}{', '.join(argument.part.text for argument in arguments)})"
        growth = sum((argument.part.growth for argument in arguments), start=0) or 1
        if canonical == "range":
            growth = check_range(self, start, arguments)
        elif canonical == "replace":
            growth *= replacement_growth(self, start, arguments)
        elif canonical == "collect":
            growth *= _BULK
        return Part(text, growth)

    def arguments(self) -> list[Argument]:
        """Reads the arguments of a call after its '(', and the ')'."""
        arguments: list[Argument] = []
        while not self.accept(")"):
            if arguments:
                self.expect(",")
            start = self.at
            part = self.expression()
            arguments.append(Argument(part, tuple(self.tokens[start : self.at])))
        return arguments

    def _old_exists(self) -> Part:
        self.expect("(")
        if not (self.is_symbol("(") and self.at_path()):
            self.refuse("exists() takes a path; for a property write IS NOT NULL")
        path = self.path()
        self.expect(")")
        return Part(f"EXISTS {{ {path} }}")

    def _loop_head(self) -> tuple[str, Part]:
        start = self.token
        if len(self.loops) == MAX_LOOPS:
            self.refuse(f"comprehensions, quantifiers and reduces more than {MAX_LOOPS} deep; use UNWIND")
        name = self.variable()
        self.expect_word("IN")
        source = self.expression(bar=False)
        self.loops.append(source.growth)
        if len(self.loops) > 1 and math.prod(self.loops) > MAX_WORK:
            self.refuse("a loop over a long list inside another such loop; use UNWIND", start)
        return name, source

    def _loop_end(self, symbol: str) -> None:
        self.expect(symbol)
        self.loops.pop()

    def _quantifier_call(self, name: str) -> Part:
        self.expect("(")
        variable, source = self._loop_head()
        where = f" WHERE {self.expression().text}" if self.accept_word("WHERE") else ""
        self._loop_end(")")
        return Part(f"{name}({self.sent(variable)} IN {source.text}{where})")

    def _reduce(self) -> Part:
        start = self.token
        self.expect("(")
        accumulator = self.variable()
        self.expect("=")
        first = self.expression()
        self.expect(",")
        variable, source = self._loop_head()
        self.expect("|")
        mark = _ACCUMULATORS[self.reduces]
        outer = self.growth
        self.growth = {**outer, accumulator: mark, variable: 1}
        self.reduces += 1
        step = self.expression()
        self.reduces -= 1
        self.growth = outer
        self._loop_end(")")
        uses, rest = divmod(step.growth, mark)
        if uses > 1:
            self.refuse(
                f"reduce uses {accumulator!r} more than once in its new value, which can double each time", start
            )
        text = f"reduce({self.sent(accumulator)} = {first.text}, {self.sent(variable)} IN {source.text} | {step.text})"
        # Each step copies what is there already, so that reducing a long list is counted as two loops over it.
        return Part(text, first.growth + source.growth * min(source.growth, _BULK) * max(rest, 1))
