from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.service import Service
from api.settings import Settings
from reasoning.diagnosis.query import Query
from tests.api.conftest import Client, assert_problem
from tests.api.samples import packet, write_sample

PATH = "/v1/diagnosis"


async def _ask(http: httpx.AsyncClient, **body: object) -> dict[str, Any]:
    response = await http.post(PATH, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_findings_by_id(http: httpx.AsyncClient) -> None:
    answer = await _ask(http, present=["HP:0020219", "HP:0001251"], excluded=["HP:0001631"], limit=2)
    first, second = answer["results"]
    assert first["id"] == "OMIM:100001"
    assert first["name"] == "Seizure-ataxia disease"
    assert first["probability"] > second["probability"]
    assert [finding["match"] for finding in first["findings"]] == ["exact", "exact"]
    assert first["findings"][0]["path"] == ["HP:0020219", "OMIM:100001"]
    assert first["findings"][0]["reported"] == "9 of 10 patients"
    assert answer["next_questions"]
    assert answer["graph_version"] == (await http.get("/v1/readyz")).json()["graph_version"]
    assert len(answer["model_version"]) == 16


async def test_evidence_is_what_the_graph_says(http: httpx.AsyncClient) -> None:
    answer = await _ask(http, present=["HP:0020219", "HP:0001251"])
    assert "[1]" in answer["text"]
    for evidence in answer["evidence"]:
        params = {"relation": evidence["relation"], "limit": 1000}
        page = (await http.get(f"/v1/entities/{evidence['subject']}/neighbourhood", params=params)).json()
        [fact] = [
            fact for fact in page["facts"] if fact["direction"] == "out" and fact["entity"]["id"] == evidence["object"]
        ]
        assert evidence["belief"] == pytest.approx(fact["belief"], abs=1e-4)
        assert [claim["source"] for claim in evidence["claims"]] == [claim["source"] for claim in fact["claims"]]


async def test_a_phenopacket_says_the_same_as_its_findings(http: httpx.AsyncClient) -> None:
    by_packet = await _ask(http, phenopacket=packet())
    by_ids = await _ask(http, present=["HP:0001250", "HP:0001251"], excluded=["HP:0001631"], sex="FEMALE", age="P3Y")
    assert by_packet == by_ids


async def test_what_is_given_beside_a_phenopacket_replaces_what_it_says(http: httpx.AsyncClient) -> None:
    answer = await _ask(http, phenopacket=packet(), present=["HP:0001631"], excluded=[], catalogue="OMIM")
    assert [finding["id"] for finding in answer["query"]["present"]] == ["HP:0001631"]
    assert answer["query"]["excluded"] == []
    assert answer["query"]["sex"] == "FEMALE"
    assert answer["results"][0]["id"] == "OMIM:100002"


async def test_what_a_phenopacket_says_in_vain_is_named(http: httpx.AsyncClient) -> None:
    case = packet()
    case["phenotypicFeatures"] = [{"type": {"id": "HP:0001250"}}, {"type": {"id": "HP:7654321", "label": "?"}}]
    [ignored] = (await _ask(http, phenopacket=case))["query"]["ignored"]
    assert ignored["place"] == "phenopacket.phenotypicFeatures[1]"
    assert ignored["given"] == "HP:7654321"


async def test_genes_and_inheritance_are_parts_of_the_score(http: httpx.AsyncClient) -> None:
    answer = await _ask(http, present=["HP:0001250"], genes=["AARS1"], inheritance=["HP:0000007"], onset="HP:0003593")
    for result in answer["results"]:
        assert result["score"] == pytest.approx(sum(result["parts"].values()), abs=1e-3)
    first = {result["id"]: result for result in answer["results"]}["OMIM:100001"]
    assert first["genes"][0]["given"]
    assert first["inheritance"][0]["fits"]
    assert answer["query"]["onset_years"] == 0.5


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        ({}, "present", "nothing to go by"),
        ({"present": ["HP:7654321"]}, "present[0]", "HP:7654321"),
        ({"present": ["HP:0001250"], "excluded": ["HP:0001251", "HP:7654321"]}, "excluded[1]", "HP:7654321"),
        ({"present": ["HP:0001250"], "onset": "yesterday"}, "onset", "yesterday"),
        ({"phenopacket": {}}, "phenopacket.id", "id"),
        ({"phenopacket": {"id": "x", "subject": {"id": "y"}}}, "present", "nothing to go by"),
        ({"phenopacket": {"id": "x", "phenotypicFeatures": 3}}, "phenopacket", ""),
    ],
)
async def test_wrong_input_names_the_field(
    http: httpx.AsyncClient, body: dict[str, object], place: str, says: str
) -> None:
    problem = assert_problem(await http.post(PATH, json=body), 422, "input")
    assert str(problem["place"]).startswith(place)
    assert says in str(problem["detail"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"present": ["seizure"]}, "body.present[0]"),
        ({"present": ["HP:0001250"], "sex": "X"}, "body.sex"),
        ({"present": ["HP:0001250"], "limit": 0}, "body.limit"),
        ({"presnt": ["HP:0001250"]}, "body.presnt"),
        ({"phenopacket": []}, "body.phenopacket"),
    ],
)
async def test_a_body_of_another_shape_is_refused(http: httpx.AsyncClient, body: dict[str, object], field: str) -> None:
    errors = assert_problem(await http.post(PATH, json=body), 422, "validation")["errors"]
    assert isinstance(errors, list)
    assert errors[0]["field"] == field


async def test_a_graph_without_hpo_says_what_to_do(settings: Settings, client: Client, tmp_path: Path) -> None:
    empty = settings.model_copy(update={"graph": f"embedded:{tmp_path / 'empty'}"})
    async with client(empty) as http:
        problem = assert_problem(await http.post(PATH, json={"present": ["HP:0001250"]}), 409, "conflict")
        assert "evigraph ingest hpo" in str(problem["detail"])


async def test_patients_come_in_while_questions_are_answered(
    settings: Settings, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "cases" / "case.json"
    file.parent.mkdir()
    file.write_text(json.dumps(packet("diagnosis-1")))
    async with client(settings) as http:
        service = http.app.state.service  # type: ignore[attr-defined]
        before = await _ask(http, present=["HP:0001250"])
        model = await service.with_reasoner(lambda reasoner: reasoner.model)
        try:
            await service.ingest("phenopackets", file)
            service.look_again()
            async with asyncio.timeout(30):
                after = before
                while after["graph_version"] == before["graph_version"]:
                    after = await _ask(http, present=["HP:0001250"])
            of_both = [{result["id"] for result in answer["results"]} for answer in (before, after)]
            assert of_both[0] == of_both[1]
            now = await service.with_reasoner(lambda reasoner: reasoner.model)
            assert (len(model.index.solved), len(now.index.solved)) == (0, 1)
            assert now.index.profiles is model.index.profiles, "they were built anew for nothing"
        finally:
            await service.retract("phenopackets:case.json")


async def test_new_annotations_are_taken_in(settings: Settings, tmp_path: Path) -> None:
    own = settings.model_copy(update={"graph": f"embedded:{tmp_path / 'graph'}"})
    sample = write_sample(tmp_path / "hpo")
    query = Query(present=("HP:0001166",))
    async with Service(own) as service:
        await service.ingest("hpo", sample)
        first = await service.with_reasoner(lambda reasoner: reasoner.diagnose(query))
        assert first.results[0].id == "OMIM:100002"
        table = sample / "phenotype.hpoa"
        kept = [line for line in table.read_text().splitlines(keepends=True) if "OMIM:100002" not in line]
        table.write_text("".join(kept))
        await service.ingest("hpo", sample)
        then = await service.with_reasoner(lambda reasoner: reasoner.diagnose(query))
        assert then.graph_version > first.graph_version
        assert then.ranked == first.ranked - 1


async def test_once_hpo_is_retracted_nothing_is_diagnosed(settings: Settings, client: Client, tmp_path: Path) -> None:
    own = settings.model_copy(update={"graph": f"embedded:{tmp_path / 'graph'}"})
    async with client(own) as http:
        service = http.app.state.service  # type: ignore[attr-defined]
        await service.ingest("hpo", write_sample(tmp_path / "hpo"))
        (release,) = [source["id"] for source in await service.sources() if source["id"].startswith("hpo:")]
        for version in (await service.store.version(), (await service.retract(release)).version):
            service.look_again()
            async with asyncio.timeout(30):
                # there is nothing to wait on from outside
                while (await http.get("/v1/readyz")).json()["graph_version"] < version:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        assert_problem(await http.post(PATH, json={"present": ["HP:0001250"]}), 409, "conflict")


async def test_an_unexpected_error_does_not_end_following_the_graph(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = iter(range(3))
    tried = asyncio.Event()

    async def broken(*_: object) -> int:
        if next(tries, None) is None:
            tried.set()
        raise TypeError("broken")

    async with client(settings) as http:
        monkeypatch.setattr("api.diagnosing.Diagnosing.refresh", broken)
        http.app.state.service.look_again()  # type: ignore[attr-defined]
        async with asyncio.timeout(30):
            await tried.wait()
        assert (await http.get("/v1/readyz")).status_code == 200


async def test_the_answer_is_typed_in_the_openapi_document(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    answer = document["paths"][PATH]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    seen: set[str] = set()
    todo = [answer["$ref"].rpartition("/")[2]]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [part.partition('"')[0] for part in json.dumps(schemas[name]).split("#/components/schemas/")[1:]]
    assert seen >= {"Answer", "Result", "FindingExplained", "Question", "Evidence", "ClaimCited", "Understood"}
    untyped = [
        f"{name}.{field}"
        for name in seen
        for field, schema in schemas[name]["properties"].items()
        if not schema.keys() & {"type", "$ref", "anyOf", "enum"}
    ]
    assert untyped == []
