import pytest
from neo4j import GraphDatabase
from neo4j.exceptions import AuthError

from tests.support.neo4j_server import Neo4jServer


def test_a_committed_write_survives_a_kill(neo4j_server: Neo4jServer) -> None:
    with GraphDatabase.driver(neo4j_server.uri, auth=(neo4j_server.user, neo4j_server.password)) as driver:
        driver.execute_query("CREATE (:Kept {value: 7})")
        before = neo4j_server.uri
        neo4j_server.kill()
        neo4j_server.restart()
        assert neo4j_server.uri == before
        records, _, _ = driver.execute_query("MATCH (n:Kept) WITH n, n.value AS value DELETE n RETURN value")
    assert [record["value"] for record in records] == [7]


def test_another_password_is_refused(neo4j_server: Neo4jServer) -> None:
    with GraphDatabase.driver(neo4j_server.uri, auth=("neo4j", "neo4j")) as driver, pytest.raises(AuthError):
        driver.verify_connectivity()
