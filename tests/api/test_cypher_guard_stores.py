"""The Cypher guard on real databases: honest queries answer as if sent unguarded, and nothing that passes writes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from neo4j import READ_ACCESS, Driver, GraphDatabase
from neo4j.exceptions import Neo4jError

from api.cypher.values import to_json
from api.cypher_guard import CypherRefused, check, run_guarded
from kg.dialect import ArcadeDialect, Dialect, Neo4jDialect
from kg.embedded import USER, EmbeddedServer
from kg.errors import QueryTimeoutError
from kg.ontology import Ontology
from kg.store import GraphStore, open_store
from tests.api.cypher_cases import ATTACKS, HONEST, Honest

GRAPH = """
CREATE (g:Entity:Gene {id: 'HGNC:1', name: 'SCN1A'})
CREATE (d:Entity:Disease {id: 'OMIM:1', name: 'Dravet syndrome'})
CREATE (m:Entity:Disease {id: 'OMIM:2', name: 'Muscular limb dystrophy'})
CREATE (s:Entity:Phenotype {id: 'HP:0001250', name: 'Seizure', synonyms: ['Fits', 'Epileptic seizure']})
CREATE (l:Entity:Phenotype {id: 'HP:0001263', name: 'Global developmental delay'})
CREATE (a:Entity:Phenotype {id: 'HP:0000118', name: 'Phenotypic abnormality'})
CREATE (o:Entity:Onset {id: 'HP:0003593', name: 'Infantile onset'})
CREATE (p:Entity:Patient {id: 'P1'}), (q:Entity:Patient {id: 'P2'})
CREATE (:Source {id: 'PMID:1', kind: 'publication'})
CREATE (g)-[:ASSOCIATED_WITH {belief: 0.9, sources: ['PMID:1'], confidences: [0.9]}]->(d)
CREATE (d)-[:HAS_PHENOTYPE {belief: 0.95, sources: ['PMID:1', 'OMIM:1'], confidences: [0.9, 0.5]}]->(s)
CREATE (d)-[:HAS_PHENOTYPE {belief: 0.5, sources: ['PMID:1'], confidences: [0.5]}]->(l)
CREATE (m)-[:HAS_PHENOTYPE {belief: 0.7, sources: ['PMID:1'], confidences: [0.7]}]->(s)
CREATE (p)-[:HAS_PHENOTYPE {belief: 1.0, sources: ['P1'], confidences: [1.0]}]->(s)
CREATE (q)-[:HAS_PHENOTYPE {belief: 1.0, sources: ['P2'], confidences: [1.0]}]->(s)
CREATE (p)-[:EXCLUDES_PHENOTYPE {belief: 1.0, sources: ['P1'], confidences: [1.0]}]->(l)
CREATE (d)-[:HAS_ONSET {belief: 0.7, sources: ['PMID:1'], confidences: [0.7]}]->(o)
CREATE (s)-[:IS_A {belief: 1.0}]->(a), (l)-[:IS_A {belief: 1.0}]->(a)
"""
CHANGING = {"sample", "schema", "dates", "element id and degree"}
"""Queries whose answer differs from run to run."""


class Database:
    """One database with the small graph, seen with and without the guard."""

    def __init__(self, driver: Driver, dialect: Dialect, text_index: str) -> None:
        self.driver = driver
        self.dialect = dialect
        self.database = dialect.database
        self.text_index = text_index

    def write(self, text: str) -> None:
        with self.driver.session(database=self.database) as session:
            session.run(text).consume()

    def read(self, text: str, parameters: Mapping[str, Any], timeout_s: float = 30) -> list[list[object]]:
        with (
            self.driver.session(database=self.database, default_access_mode=READ_ACCESS) as session,
            session.begin_transaction(timeout=timeout_s) as transaction,
        ):
            result = transaction.run(self.dialect.timed(text, timeout_s), dict(parameters))
            return [[to_json(v) for v in record.values()] for record in result]

    def content(self) -> list[str]:
        nodes = self.read("MATCH (n) RETURN labels(n) AS l, properties(n) AS p", {})
        edges = self.read("MATCH (a)-[r]->(b) RETURN a.id AS a, type(r) AS t, properties(r) AS p, b.id AS b", {})
        return sorted(map(str, map(in_order, nodes + edges)))


def in_order(value: object) -> object:
    """The value with its lists sorted: the order of rows and of what is collected is not promised."""
    if isinstance(value, dict):
        return {key: in_order(item) for key, item in sorted(value.items())}
    return sorted(map(in_order, value), key=str) if isinstance(value, list) else value


@pytest.fixture(scope="module", params=["arcadedb", "neo4j"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    if request.param == "neo4j":
        end = request.getfixturevalue("neo4j_endpoint")
        with GraphDatabase.driver(end.uri, auth=(end.user, end.password), notifications_min_severity="OFF") as driver:
            found = Database(driver, Neo4jDialect(), "entity_text")
            found.write("MATCH (n) DETACH DELETE n")
            found.write("CREATE FULLTEXT INDEX entity_text IF NOT EXISTS FOR (n:Entity) ON EACH [n.name, n.synonyms]")
            found.write(GRAPH)
            found.write("CALL db.awaitIndexes(60)")
            yield found
            found.write("MATCH (n) DETACH DELETE n")
        return
    folder: Path = tmp_path_factory.mktemp("embedded")
    server = EmbeddedServer(folder, heap="512m")
    end = server.connect()
    try:
        with GraphDatabase.driver(end.bolt, auth=(USER, end.password)) as driver:
            found = Database(driver, ArcadeDialect(), "Entity[name]")
            found.write(GRAPH)
            server.sql("CREATE PROPERTY Entity.name IF NOT EXISTS STRING")
            server.sql("CREATE INDEX IF NOT EXISTS ON Entity (name) FULL_TEXT")
            yield found
    finally:
        server.close()


@pytest.mark.parametrize("case", HONEST, ids=str)
def test_guarded_query_answers_as_the_unguarded_one(database: Database, case: Honest) -> None:
    query = case.query.replace("entity_text", database.text_index)
    checked = check(query)
    expected = database.read(query, case.parameters)
    rows = database.read(checked.text, checked.bind(case.parameters))
    assert len(rows) == len(expected)
    if case.name not in CHANGING:
        assert in_order(rows) == in_order(expected)


def test_attacks_leave_the_graph_as_it_was(database: Database) -> None:
    before = database.content()
    for case in ATTACKS:
        with pytest.raises(CypherRefused):
            check(case.query)
    assert len(before) == 20
    assert database.content() == before


def test_mutants_that_pass_leave_the_graph_as_it_was(database: Database) -> None:
    """Whatever the guard makes of broken and mixed texts, the database reads nothing else in it than reading."""
    draw = random.Random(3)
    hostile = [case.query for case in ATTACKS if len(case.query) < 200] + ["`", "'", "//", "/*", "\n", " SET n.x = 1 "]
    honest = [case.query for case in HONEST]
    before = database.content()
    passed = 0
    for _ in range(3_000):
        query = draw.choice(honest)
        start, other = draw.randrange(len(query)), draw.choice(hostile if draw.random() < 0.5 else honest)
        query = draw.choice(
            [query[:start] + other + query[start:], query[:start] + other[draw.randint(0, len(other)) :]]
        )
        try:
            checked = check(query)
        except CypherRefused:
            continue
        passed += 1
        try:
            database.read(checked.text, dict.fromkeys(checked.parameters, 1) | checked.strings, timeout_s=2)
        except Neo4jError as error:
            assert "write" not in str(error).lower(), checked.text  # a refusal by the read session: we sent a write
    assert passed >= 50
    assert database.content() == before


@pytest.fixture(params=["arcadedb", "neo4j"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GraphStore]:
    if request.param == "neo4j":
        end = request.getfixturevalue("neo4j_endpoint")
        opened = await open_store(end.uri, Ontology.load(), user=end.user, password=end.password)
    else:
        opened = await open_store(f"embedded:{tmp_path}", Ontology.load(), heap="512m")
    yield opened
    await opened.close()


async def test_limits(store: GraphStore) -> None:
    result = await run_guarded(store, "UNWIND range(1, 90) AS a UNWIND range(1, 90) AS b RETURN a, b AS `second one`")
    assert result.columns == ("a", "second one")
    assert (len(result.rows), result.truncated) == (1_000, "cut after 1,000 rows")
    large = await run_guarded(
        store, "UNWIND range(1, 900) AS i RETURN reduce(s = '', j IN range(1, 30) | s + $x) AS s", {"x": "a" * 500}
    )
    assert 60 <= len(large.rows) <= 70
    assert "1 MB" in large.truncated


RUNAWAYS = (
    "UNWIND range(1,1000) AS a UNWIND range(1,1000) AS b UNWIND range(1,1000) AS c RETURN count(*)",
    "UNWIND range(1,1000) AS a UNWIND range(1,1000) AS b UNWIND range(1,1000) AS c WITH a WHERE a = 0 RETURN a",
)


@pytest.mark.parametrize("query", RUNAWAYS)
async def test_a_runaway_is_stopped_in_the_database(store: GraphStore, query: str, tmp_path: Path) -> None:
    start = time.perf_counter()
    with pytest.raises(QueryTimeoutError):
        await run_guarded(store, query)
    assert time.perf_counter() - start < 30  # the query alone would take minutes
    if store.dialect.name == "arcadedb":  # it has no way to ask what runs: its processor time says it
        pid = json.loads((tmp_path / "endpoint.json").read_text())["pid"]
        await asyncio.sleep(1)
        before = _ticks(pid)
        await asyncio.sleep(1)
        assert _ticks(pid) - before < 0.5 * os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """Processor time of a process, in clock ticks."""
    stat = Path("/proc", str(pid), "stat")
    if not stat.exists():
        pytest.skip("no /proc here")
    fields = stat.read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
