from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from api.settings import Settings
from kg.store import Retraction
from tests.api.conftest import Client, assert_problem


async def test_entity_and_neighbourhood(http: httpx.AsyncClient) -> None:
    entity = (await http.get("/v1/entities/OMIM:100001")).json()
    assert entity["id"] == "OMIM:100001"
    assert "Disease" in entity["labels"]
    assert entity["properties"]["name"] == "Seizure-ataxia disease"
    assert entity["descriptions"]
    page = (await http.get("/v1/entities/OMIM:100001/neighbourhood", params={"relation": "HAS_PHENOTYPE"})).json()
    facts = {fact["entity"]["id"]: fact for fact in page["facts"]}
    assert set(facts) == {"HP:0020219", "HP:0001251", "HP:0001263"}
    assert facts["HP:0020219"]["claims"][0]["source"] == "PMID:1000"
    assert facts["HP:0020219"]["claims"][0]["qualifiers"]["frequency_numerator"] == 9
    assert 0 < facts["HP:0020219"]["belief"] <= 1


async def test_neighbourhood_pages(http: httpx.AsyncClient) -> None:
    path = "/v1/entities/HP:0000707/neighbourhood"
    whole = (await http.get(path)).json()["facts"]
    pages = [(await http.get(path, params={"limit": 2, "offset": at})).json()["facts"] for at in range(0, 6, 2)]
    assert [fact for page in pages for fact in page] == whole
    assert len(whole) == 4


@pytest.mark.parametrize("id_", ["OMIM:999999", "x:a/b", "x:a/neighbourhood/b", "x:100%", "x:a b", "no-curie", "x:ü?#"])
async def test_an_unknown_entity_is_named(http: httpx.AsyncClient, id_: str) -> None:
    for path in (f"/v1/entities/{quote(id_, safe='')}", f"/v1/entities/{quote(id_, safe='')}/neighbourhood"):
        assert id_ in str(assert_problem(await http.get(path), 404, "not-found")["detail"])


async def test_an_unknown_relation_is_an_error(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/entities/OMIM:100001/neighbourhood", params={"relation": "DROP_ALL"})
    assert "DROP_ALL" in str(assert_problem(response, 422, "ontology")["detail"])


@pytest.mark.parametrize(
    ("text", "first"), [("HP:0001251", "HP:0001251"), ("Ataxia", "HP:0001251"), ("fits", "HP:0001250")]
)
async def test_search(http: httpx.AsyncClient, text: str, first: str) -> None:
    results = (await http.get("/v1/search", params={"q": text})).json()["results"]
    assert results[0]["id"] == first


async def test_search_in_one_class(http: httpx.AsyncClient) -> None:
    results = (await http.get("/v1/search", params={"q": "seizure", "label": "Disease"})).json()["results"]
    assert {hit["id"] for hit in results} == {"OMIM:100001", "ORPHA:9001"}


async def test_cypher(http: httpx.AsyncClient) -> None:
    query = "MATCH (d:Disease)-[f:HAS_PHENOTYPE]->(p {id: $id}) RETURN d.id AS id ORDER BY id"
    response = await http.post("/v1/cypher", json={"query": query, "parameters": {"id": "HP:0001263"}})
    assert response.json() == {"columns": ["id"], "rows": [["OMIM:100001"], ["OMIM:100003"]], "truncated": None}


@pytest.mark.parametrize(
    "query", ["MATCH (n) DETACH DELETE n", "RETURN", "CALL dbms.shutdown()", "MATCH (n) SET n.x = 1"]
)
async def test_cypher_refuses(http: httpx.AsyncClient, query: str) -> None:
    assert_problem(await http.post("/v1/cypher", json={"query": query}), 422, "input")


@pytest.mark.parametrize("value", [2**70, "\ud800", {"a": ["\udfff"]}])
async def test_cypher_refuses_parameters_that_no_database_takes(http: httpx.AsyncClient, value: object) -> None:
    body = json.dumps({"query": "RETURN $x AS x", "parameters": {"x": value}})
    response = await http.post("/v1/cypher", content=body, headers={"Content-Type": "application/json"})
    assert_problem(response, 422, "input")


@pytest.mark.parametrize("path", ["/v1/cypher", "/v1/diagnosis", "/v1/ingestions"])
async def test_half_a_character_is_refused(http: httpx.AsyncClient, path: str) -> None:
    half = "HP:\ud800"
    bodies = {
        "/v1/cypher": {"query": f"RETURN '{half}'"},
        "/v1/diagnosis": {"present": [half]},
        "/v1/ingestions": {"reader": "hpo", "name": half},
    }
    content = json.dumps(bodies[path])
    response = await http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422, response.text


async def test_sources(http: httpx.AsyncClient) -> None:
    page = (await http.get("/v1/sources", params={"kind": "publication"})).json()["sources"]
    assert [source["id"] for source in page] == [f"PMID:{number}" for number in range(1000, 1004)]
    assert (await http.get("/v1/sources/PMID:1002")).json() == page[2]
    assert_problem(await http.get("/v1/sources/PMID:0"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "status", "name"),
    [
        ("GET", "/", 404, "no-such-route"),
        ("GET", "/v1/nothing", 404, "no-such-route"),
        ("PUT", "/v1/search", 405, "method-not-allowed"),
        ("PATCH", "/v1/entities/x:y", 405, "method-not-allowed"),
        ("GET", "/v1/search", 422, "validation"),
        ("GET", "/v1/search?q=a&limit=0", 422, "validation"),
        ("GET", "/v1/sources?limit=x", 422, "validation"),
        ("GET", "/v1/entities/", 422, "validation"),
        ("POST", "/v1/cypher", 422, "validation"),
        ("POST", "/v1/diagnosis", 422, "validation"),
    ],
)
async def test_every_refusal_is_a_problem(
    http: httpx.AsyncClient, method: str, path: str, status: int, name: str
) -> None:
    body = assert_problem(await http.request(method, path), status, name)
    if name == "validation":
        assert body["errors"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body[1]"),
        (b'{"query": 3}', "body.query"),
        (b'{"query": ""}', "body.query"),
        (b'{"query": "RETURN 1", "paramters": {}}', "body.paramters"),
        (b"[]", "body"),
    ],
)
async def test_validation_names_the_field(http: httpx.AsyncClient, body: bytes, field: str) -> None:
    response = await http.post("/v1/cypher", content=body, headers={"Content-Type": "application/json"})
    errors = assert_problem(response, 422, "validation")["errors"]
    assert isinstance(errors, list)
    assert errors[0]["field"] == field


async def test_every_answer_has_an_id_and_safe_headers(http: httpx.AsyncClient) -> None:
    for path in ("/v1/healthz", "/v1/entities/x:y", "/nowhere", "/metrics"):
        headers = (await http.get(path, headers={"X-Request-ID": "mine-1"})).headers
        assert headers["x-request-id"] == "mine-1"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
    made = (await http.get("/v1/healthz", headers={"X-Request-ID": "bad id\n"})).headers["x-request-id"]
    assert made != "bad id\n"
    assert len(made) == 16


async def test_bodies_are_limited_whether_or_not_they_say_their_length(settings: Settings, client: Client) -> None:
    async def stream(size: int) -> AsyncIterator[bytes]:
        yield b'{"query": "RETURN 1", "parameters": {"x": "'
        for _ in range(size // 100):
            yield b"x" * 100
        yield b'"}}'

    small = settings.model_copy(update={"max_request_bytes": 2000, "max_upload_bytes": 5000})
    header = {"Content-Type": "application/json"}
    async with client(small) as http:
        assert_problem(await http.post("/v1/cypher", content=b"x" * 2001, headers=header), 413, "too-large")
        assert_problem(await http.post("/v1/cypher", content=stream(4000), headers=header), 413, "too-large")
        assert (await http.post("/v1/cypher", content=stream(1000), headers=header)).status_code == 200
        assert_problem(await http.post("/v1/ingestions", content=stream(4000), headers=header), 413, "too-large")
        upload = {"file": ("a.json", b"x" * 6000)}
        response = await http.post("/v1/ingestions", files=upload, data={"reader": "phenopackets"})
        assert_problem(response, 413, "too-large")


async def test_a_slow_request_is_given_up(settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(settings.model_copy(update={"request_timeout_s": 0.2})) as http:

        async def slow(*_: object, **__: object) -> None:
            await asyncio.sleep(30)

        monkeypatch.setattr("api.service.Service.sources", slow)
        async with asyncio.timeout(5):
            assert_problem(await http.get("/v1/sources"), 504, "request-timeout")


async def test_a_retraction_may_take_longer(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(*_: object, **__: object) -> Retraction:
        await asyncio.sleep(0.5)
        return Retraction(1, 2, 3)

    async with client(settings.model_copy(update={"request_timeout_s": 0.2})) as http:
        monkeypatch.setattr("api.service.Service.retract", slow)
        assert (await http.delete("/v1/sources/a:1")).status_code == 200


async def test_an_unexpected_error_tells_nothing(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("api.service.Service.sources", broken)
    response = await http.get("/v1/sources")
    assert_problem(response, 500, "unexpected")
    assert "secret" not in response.text


async def test_metrics_count_by_route_not_by_path(http: httpx.AsyncClient) -> None:
    for id_ in ("a:1", "a:2"):
        await http.get(f"/v1/entities/{id_}")
    await http.get("/v1/healthz")
    await http.get("/random-path")
    text = (await http.get("/metrics")).text
    assert 'evigraph_http_requests_total{method="GET",route="/v1/entities/{id:path}",status="404"} 2.0' in text
    assert 'evigraph_http_requests_total{method="GET",route="/v1/healthz",status="200"} 1.0' in text
    assert "random-path" not in text
    assert "a:1" not in text
    version = (await http.get("/v1/readyz")).json()["graph_version"]
    assert f"evigraph_graph_version {float(version)}" in text


async def test_not_ready_says_so(settings: Settings) -> None:
    from api.app import create_app

    lost = settings.model_copy(update={"graph": "bolt://127.0.0.1:9"})
    app = create_app(lost)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/v1/healthz")).status_code == 200
            for path in ("/v1/readyz", "/v1/sources", "/v1/entities/a:b"):
                response = await http.get(path)
                assert_problem(response, 503, "not-ready")
                assert response.headers["retry-after"]
