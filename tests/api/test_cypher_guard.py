"""The Cypher guard by itself; `test_cypher_guard_stores.py` runs the same cases on databases."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neo4j.graph import Graph, Node, Path, Relationship
from neo4j.spatial import WGS84Point
from neo4j.time import Date, DateTime, Duration

from api import cypher_guard
from api.cypher.values import to_json
from api.cypher.vocabulary import FUNCTIONS, PROCEDURES
from api.cypher_guard import CypherRefused, check, run_guarded
from kg.errors import InputError, QueryTimeoutError
from tests.api.cypher_cases import ATTACKS, HONEST, Attack, Honest

KEYWORDS = set(
    re.findall(
        r"\w+",
        """ALL AND AS ASC BY CALL CASE COLLECT CONTAINS COUNT DESC DISTINCT ELSE END ENDS EXISTS IN IS LIMIT MATCH NOT
        NULL OPTIONAL OR ORDER RETURN SKIP STARTS THEN UNION UNWIND WHEN WHERE WITH XOR YIELD
        true false null all any none single reduce shortestPath allShortestPaths count""",
    )
)
NAMES = {part for name in FUNCTIONS.values() for part in name.split(".")} | {
    part for procedure in PROCEDURES.values() for part in (*procedure.name.split("."), *procedure.results)
}
WRITING = set(
    re.findall(
        r"\w+",
        """create insert merge set delete detach nodetach remove foreach load drop alter grant deny revoke show
        terminate use start stop begin commit rollback session define rename explain profile cypher csv
        transactions finish""",
    )
)


def assert_only_reads(text: str) -> None:
    """Reads the text that would be sent with another tokeniser than the guard's: what is left is on short lists."""
    bare = re.sub(r"`[\w.: -]+`", " ", text)
    bare = re.sub(r"\$(__s[0-9]+|[A-Za-z_][A-Za-z0-9_]*)", " ", bare)
    bare = re.sub(r"\b(v_[A-Za-z0-9_]+|u[0-9]+|c[0-9]+)\b", " ", bare)
    bare = re.sub(
        r"(?<![A-Za-z_])(0x[0-9a-fA-F]+|[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?|[0-9]+([eE][+-]?[0-9]+)?)", " ", bare
    )
    assert re.fullmatch(r"[A-Za-z0-9 ()\[\]{},.:|+*/%^=<>&!~-]*", bare), bare
    assert "//" not in bare and "/*" not in bare
    words = set(re.findall(r"[A-Za-z0-9_]+", bare))
    assert words <= KEYWORDS | NAMES, words - KEYWORDS - NAMES
    assert not {word.lower() for word in words} & WRITING


def test_vocabulary_has_no_writing_word() -> None:
    assert not {word.lower() for word in KEYWORDS | NAMES} & WRITING


def test_there_are_enough_cases() -> None:
    assert len({case.query for case in HONEST}) >= 60
    assert len({case.query for case in ATTACKS}) >= 60


@pytest.mark.parametrize("case", HONEST, ids=str)
def test_honest_query_passes(case: Honest) -> None:
    checked = check(case.query)
    assert checked.parameters == case.parameters.keys()
    assert_only_reads(checked.text)
    assert set(case.parameters) | set(checked.strings) == checked.bind(case.parameters).keys()


@pytest.mark.parametrize("case", ATTACKS, ids=str)
def test_attack_is_refused_with_its_reason_and_place(case: Attack) -> None:
    with pytest.raises(CypherRefused, match=re.escape(case.reason)) as refused:
        check(case.query)
    lines = re.split(r"\r\n|\r|\n", case.query)
    assert 1 <= refused.value.line <= len(lines)
    assert 1 <= refused.value.column <= len(lines[refused.value.line - 1]) + 1
    assert f"line {refused.value.line}, column {refused.value.column}" in str(refused.value)


@pytest.mark.parametrize(
    ("query", "line", "column"),
    [
        ("MATCH (n)\nDETACH DELETE n", 2, 1),
        ("MATCH (n)\r\n  SET n.x = 1", 2, 3),
        ("// c\rMATCH (n) RETURN apoc.x(1)", 2, 18),
        ("MATCH (a)-[:IS_A*1..9]->(b) RETURN b", 1, 22),
        ("MATCH (n) RETURN n;\n\nMATCH (m) RETURN m", 3, 1),
    ],
)
def test_place(query: str, line: int, column: int) -> None:
    with pytest.raises(CypherRefused) as refused:
        check(query)
    assert (refused.value.line, refused.value.column) == (line, column)


def test_refusal_is_an_input_error() -> None:
    with pytest.raises(InputError, match="line 1, column 1: CREATE writes; only reading is allowed"):
        check("CREATE (n)")


def test_the_text_is_written_anew() -> None:
    checked = check("""match (`d`:Disease{id:"OMIM:1"}) // one\nreturn d.name, count ( * ) as n, 'x' order by n;""")
    assert checked.text == (
        "MATCH (v_d:`Disease` {`id`: $__s0}) RETURN v_d.`name` AS c1, count(*) AS v_n, $__s1 AS c3"
        " ORDER BY v_n LIMIT 1001"
    )
    assert checked.bind({}) == {"__s0": "OMIM:1", "__s1": "x"}
    assert checked.columns == ("d.name", "n", "'x'")


def test_strings_are_decoded() -> None:
    checked = check(r"""RETURN 'a\'b\n\\\u00e9\ud83d\ude00"', "`c'" """)
    assert list(checked.strings.values()) == ["a'b\n\\é😀\"", "`c'"]


def test_names_of_any_script_are_kept_apart() -> None:
    checked = check("MATCH (疾病)-->(`a b`)-->(a_b) RETURN *")
    assert checked.text == "MATCH (u0)-->(u1)-->(v_a_b) RETURN * LIMIT 1001"
    assert checked.names == {"u0": "疾病", "u1": "a b", "v_a_b": "a_b"}


@pytest.mark.parametrize(
    ("limit", "sent"), [("", "1001"), ("LIMIT 7", "7"), ("LIMIT 5000", "1001"), ("LIMIT $n", "$n"), ("LIMIT 0", "0")]
)
def test_rows_are_limited_at_the_source(limit: str, sent: str) -> None:
    assert check(f"MATCH (n) RETURN n {limit}").text.endswith(f" LIMIT {sent}")


def test_inner_limits_are_kept() -> None:
    text = check("MATCH (n) WITH n LIMIT 5000 RETURN COLLECT { MATCH (m) RETURN m LIMIT 9000 } AS x").text
    assert "WITH v_n LIMIT 5000" in text
    assert "RETURN v_m LIMIT 9000 }" in text


def test_the_documentation_names_every_function_and_procedure_and_its_queries_pass() -> None:
    text = (FilePath(__file__).parents[2] / "docs" / "read-cypher.md").read_text(encoding="utf-8")
    for name in [*FUNCTIONS.values(), *(procedure.name for procedure in PROCEDURES.values())]:
        assert f"`{name}`" in text
    queries = re.findall(r"```cypher\n(.*?)```", text, re.DOTALL)
    assert len(queries) >= 3
    for query in queries:
        check(query)


# ---- limits of size and time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["(" * 1_000_000, "MATCH (n) RETURN n //" + "x" * 1_000_000, "'" * 1_000_000])
def test_a_text_of_a_megabyte_is_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(CypherRefused, match="at most 20,000"):
        check(text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "piece",
    ["(", "[", "{", "'", "`", "/*", "//", "1+", "NOT ", "a.", "(n)-->", "[x IN ", "CASE WHEN ", "RETURN ", "MATCH (n) ",
     "'\\\\'", "a:b|", "(a {b:", "EXISTS {", "reduce(a=1,b IN ", "$a ", "0x1 ", "!", "n{.a,", "\n", "-", "<-", "x,"],
)  # fmt: skip
@pytest.mark.parametrize("start", ["", "RETURN ", "MATCH (n) WHERE ", "MATCH ", "RETURN ["])
def test_repetition_takes_linear_time(start: str, piece: str) -> None:
    text = (start + piece * 20_000)[:20_000]
    begin = time.process_time()
    with contextlib.suppress(CypherRefused):
        check(text)
    assert time.process_time() - begin < 10  # some 50 ms; quadratic time would be a minute


def test_a_query_of_twenty_lines_is_quick() -> None:
    stage = (
        "MATCH (d:Disease)-[r:HAS_PHENOTYPE]->(p:Phenotype)\n"
        "WHERE p.id IN $ids AND d.name CONTAINS 'syndrome' AND (r.belief > 0.5 OR size(r.sources) >= 2)\n"
        "WITH d, count(p) AS n, [x IN collect(p) WHERE x.name STARTS WITH 'A' | x {.id, .name}] AS names\n"
    )
    query = stage * 6 + "RETURN d.id, n, names\nORDER BY n DESC LIMIT 10"
    times = []
    for _ in range(5):
        start = time.process_time()
        check(query)
        times.append(time.process_time() - start)
    assert min(times) < 0.2  # some 10 ms, on a slow machine ten times that


def test_a_long_list_of_ids_passes() -> None:
    ids = ", ".join(f"'HP:{i:07d}'" for i in range(1_000))
    assert len(check(f"MATCH (p:Phenotype) WHERE p.id IN [{ids}] RETURN p.name").strings) == 1_000


# ---- fuzzing ---------------------------------------------------------------------------------------------------------

_QUERIES = st.sampled_from([case.query for case in HONEST])
_HOSTILE = st.sampled_from(
    [case.query for case in ATTACKS if len(case.query) < 300]
    + [
        "CREATE (x)",
        " SET n.x = 1 ",
        " DETACH DELETE n ",
        "`",
        "'",
        '"',
        "/*",
        "*/",
        "//",
        "\n",
        "\r",
        ";",
        "\\u0027",
        "\\",
    ]
    + ["(", ")", "[", "]", "{", "}", "-", "->", "<-", "*", "..", "$", "|", ":", "CALL", "CALL {", "é", "\u2028", "\x00"]
)
_PIECES = st.one_of(_HOSTILE, _QUERIES, st.text(max_size=8))


@st.composite
def mutants(draw: st.DrawFn) -> str:
    text = draw(_QUERIES)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 20)))
        match draw(st.integers(0, 3)):
            case 0:
                text = text[:start] + text[end:]
            case 1:
                text = text[:start] + draw(_PIECES) + text[start:]
            case 2:
                text = text[:start] + draw(_PIECES) + text[end:]
            case _:
                other = draw(_QUERIES)
                text = text[:start] + other[draw(st.integers(0, len(other))) :]
    return text


def assert_refused_or_only_reads(text: str) -> None:
    try:
        checked = check(text)
    except CypherRefused:
        return
    assert_only_reads(checked.text)


@settings(max_examples=1_500, deadline=None, derandomize=True)
@given(mutants())
def test_mutants_are_refused_or_only_read(text: str) -> None:
    assert_refused_or_only_reads(text)


_WORDS = st.sampled_from(
    sorted(KEYWORDS)
    + sorted(WRITING)
    + re.findall(r"\S+", "( ) [ ] { } , . .. : | + - * / = <> < > =~ $ ; & ! ` ' n r 1 4 'a' (n) -[r]->")
)


@settings(max_examples=1_500, deadline=None, derandomize=True)
@given(st.lists(_WORDS, max_size=40).map(" ".join))
def test_rows_of_words_are_refused_or_only_read(text: str) -> None:
    assert_refused_or_only_reads(text)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_is_refused_or_only_reads(text: str) -> None:
    assert_refused_or_only_reads(text)


# ---- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({}, "no value for parameter \\$x"),
        ({"x": "a" * 10_001}, "more than 10,000 characters"),
        ({"x": [{"deep": "a" * 10_001}]}, "more than 10,000 characters"),
        ({"x": {"a" * 10_001: 1}}, "more than 10,000 characters"),
        ({"x": list(range(100_000))}, "more than 100,000 bytes"),
        ({"x": {1, 2}}, "not JSON"),
        ({"x": 2**70}, "not JSON"),
    ],
)
def test_parameters_have_limits(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(CypherRefused, match=reason):
        check("RETURN $x AS x").bind(parameters)


def test_only_used_parameters_are_sent() -> None:
    assert check("RETURN $x AS x, 'y' AS y").bind({"x": 1, "__s0": "smuggled", "z": 3}) == {"x": 1, "__s0": "y"}


@pytest.mark.parametrize("k", [0, 1_001, "5", None, True, 1.5])
def test_number_of_results_is_limited(k: object) -> None:
    checked = check("CALL db.index.vector.queryNodes('v', $k, $v) YIELD node RETURN node.id")
    assert checked.bind({"k": 10, "v": [0.1]})["k"] == 10
    with pytest.raises(CypherRefused, match="number of results"):
        checked.bind({"k": k, "v": [0.1]})


# ---- running ---------------------------------------------------------------------------------------------------------


class FakeStore:
    """Gives records, after a pause each, and knows what it was asked and whether it was closed."""

    def __init__(self, records: list[dict[str, object]], pause_s: float = 0) -> None:
        self.records = records
        self.pause_s = pause_s
        self.asked: tuple[str, dict[str, object], float] | None = None
        self.given = 0
        self.closed = False

    async def read(
        self, query: str, parameters: Mapping[str, object], timeout_s: float
    ) -> AsyncIterator[Mapping[str, object]]:
        self.asked = (query, dict(parameters), timeout_s)
        try:
            for record in self.records:
                await asyncio.sleep(self.pause_s)
                self.given += 1
                yield record
        finally:
            self.closed = True


async def test_rows_come_in_the_order_and_with_the_names_of_the_query() -> None:
    store = FakeStore([{"c1": "Dravet syndrome", "v_n": 3}])
    result = await run_guarded(store, "MATCH (d {id: $id}) RETURN d.name, count(*) AS n", {"id": "OMIM:1"})
    assert (result.columns, result.rows, result.truncated) == (("d.name", "n"), [["Dravet syndrome", 3]], "")
    assert store.asked is not None
    assert store.asked[1:] == ({"id": "OMIM:1"}, 5.0)


async def test_columns_of_return_star_have_the_users_names() -> None:
    result = await run_guarded(FakeStore([{"v_a": 1, "u1": 2}]), "MATCH (a)-->(`b c`) RETURN *")
    assert result.columns == ("a", "b c")


async def test_rows_beyond_a_thousand_are_cut() -> None:
    store = FakeStore([{"v_x": i} for i in range(5_000)])
    result = await run_guarded(store, "UNWIND $xs AS x RETURN x", {"xs": []})
    assert len(result.rows) == 1_000
    assert result.truncated == "cut after 1,000 rows"
    assert store.closed and store.given == 1_001


async def test_exactly_a_thousand_rows_are_not_called_cut() -> None:
    result = await run_guarded(FakeStore([{"v_x": i} for i in range(1_000)]), "UNWIND $xs AS x RETURN x", {"xs": []})
    assert (len(result.rows), result.truncated) == (1_000, "")


async def test_bytes_beyond_a_megabyte_are_cut() -> None:
    store = FakeStore([{"v_x": "a" * 300_000} for _ in range(10)])
    result = await run_guarded(store, "UNWIND $xs AS x RETURN x", {"xs": []})
    assert len(result.rows) == 3
    assert "1 MB" in result.truncated
    assert store.closed and store.given == 4


async def test_a_store_that_does_not_stop_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cypher_guard, "CLIENT_TIMEOUT_S", 0.05)
    store = FakeStore([{"v_x": 1}], pause_s=60)
    with pytest.raises(QueryTimeoutError):
        await run_guarded(store, "RETURN 1 AS x")
    assert store.closed


async def test_a_refused_query_never_reaches_the_store() -> None:
    store = FakeStore([])
    with pytest.raises(CypherRefused):
        await run_guarded(store, "MATCH (n) DETACH DELETE n")
    assert store.asked is None


def test_values_become_json() -> None:
    graph = Graph()
    a = Node(graph, "4:a", 1, ["Entity", "Disease"], {"id": "OMIM:1"})
    b = Node(graph, "4:b", 2, ["Entity"], {"id": "HP:1", "since": Date(2024, 2, 29)})
    relationship = graph.relationship_type("HAS_PHENOTYPE")(graph, "5:r", 3, {"belief": 0.5})
    relationship._start_node, relationship._end_node = a, b
    assert isinstance(relationship, Relationship)
    sent = {"type": "HAS_PHENOTYPE", "start": "OMIM:1", "end": "HP:1", "properties": {"belief": 0.5}}
    node = {"labels": ["Disease", "Entity"], "properties": {"id": "OMIM:1"}}
    assert to_json(a) == node
    assert to_json(relationship) == sent
    assert to_json(Path(a, relationship)) == {
        "nodes": [node, {"labels": ["Entity"], "properties": {"id": "HP:1", "since": "2024-02-29"}}],
        "relationships": [sent],
    }
    assert to_json([DateTime(2024, 2, 29, 1, 2, 3), Duration(days=1), WGS84Point((1.0, 2.0))]) == [
        "2024-02-29T01:02:03.000000000",
        "P1D",
        {"srid": 4326, "coordinates": [1.0, 2.0]},
    ]
    assert to_json([float("nan"), 2**80, (1, None), {"a": datetime.date(2024, 2, 29)}, b"x"]) == [
        None,
        str(2**80),
        [1, None],
        {"a": "2024-02-29"},
        "b'x'",
    ]
