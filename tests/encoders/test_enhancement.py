import random
from dataclasses import replace
from typing import get_args

import pytest
import torch

from encoders.graph import enhance_graph
from encoders.graph.enhance_graph import document_of, source_of
from encoders.graph.enhancement_settings import By, EnhancementSettings
from encoders.graph.model import bytes_a_query
from encoders.graph.predictor import load_predictor
from encoders.graph.ways import WAYS, Question
from kg.batch import Batch, LedgerEntry
from kg.errors import ConfigurationError, InputError, OntologyError
from kg.model import Claim, Entity, Source
from kg.snapshot import load_snapshot
from tests.encoders.graphs import random_triples
from tests.support.backends import Backend

SOURCE = Source("curated:1", "database", document="doc:1")
SETTINGS = EnhancementSettings(("^ASSOCIATED_WITH",), top_k=2, min_belief=0.5, hidden=0.3, by="neighbours")
MANY = {"ultra": 12, "neighbours": 12, "joined": 40}
"""Families from which a way can tell anything."""


def families(many: int = 12) -> Batch:
    """Diseases of one gene share their findings; of each family, one disease has no gene yet."""
    draw = random.Random(0)
    entities, claims = [], []
    for family in range(many):
        gene = f"HGNC:{family + 1}"
        terms = [f"HP:{family * 10 + at + 1:07}" for at in range(6)]
        entities.append(Entity(gene, ("Gene",), SOURCE.id, {"name": f"G{family}"}, SOURCE.document))
        entities += [Entity(term, ("Phenotype",), SOURCE.id, {}, SOURCE.document) for term in terms]
        for at in range(6):
            disease = f"OMIM:{family * 10 + at + 100000}"
            entities.append(Entity(disease, ("Disease",), SOURCE.id, {}, SOURCE.document))
            chosen = [*draw.sample(terms, 4), f"HP:{draw.randrange(many) * 10 + 1:07}"]
            said = [(disease, "HAS_PHENOTYPE", term) for term in dict.fromkeys(chosen)]
            if at:
                said.append((gene, "ASSOCIATED_WITH", disease))
            claims += [Claim(*ends, SOURCE.id, 1.0, {}, SOURCE.document) for ends in said]
    return Batch([SOURCE], entities, claims, [LedgerEntry("doc:1", "", "0" * 64, "test@1", 1, complete=True)])


@pytest.fixture
def model():
    return load_predictor().cpu()


@pytest.mark.parametrize("by", WAYS)
async def test_what_is_predicted_is_written_and_taken_back_to_the_digest_before(backend: Backend, model, tmp_path, by):
    store = await backend.open()
    try:
        await store.write(families(MANY[by]))
        before = await store.digest()
        folders = tmp_path / "cache", tmp_path / "kept"
        settings = replace(SETTINGS, by=by)
        known = {(claim.subject, claim.relation, claim.object) for claim in families(MANY[by]).claims}
        done = await enhance_graph.enhance_graph(store, "medical", model, settings, *folders)
        assert done.written["^ASSOCIATED_WITH"] >= 8
        assert done.by == by
        query = "MATCH (s:Source {id: $id}) RETURN s.model AS model, s.version AS version"
        [source] = [row async for row in store.read(query, {"id": done.source})]
        assert source["model"] == by
        assert ("weights" in source["version"]) == (by == "ultra")
        facts = await predicted(store)
        right = [row for row in facts if int(row["gene"][5:]) - 1 == (int(row["disease"][5:]) - 100000) // 10]
        assert len(right) / len(facts) > 0.7
        for row in facts:
            assert SETTINGS.min_belief <= row["belief"] <= 1
            for path in row["paths"].split(" | "):
                steps = path.split()
                assert (steps[0], steps[-1]) == (row["disease"], row["gene"])
                if by != "ultra":
                    assert steps[1::2] == ["HAS_PHENOTYPE", "^HAS_PHENOTYPE", "^ASSOCIATED_WITH"]
                for subject, relation, object_ in zip(steps[::2], steps[1::2], steps[2::2], strict=False):
                    ends = (object_, subject) if relation.startswith("^") else (subject, object_)
                    assert (ends[0], relation.removeprefix("^"), ends[1]) in known
        after = await store.digest()
        assert after != before

        again = await enhance_graph.enhance_graph(store, "medical", model, settings, *folders)
        assert again.written == done.written
        assert await store.digest() == after
        assert [path.name for path in (tmp_path / "kept").iterdir()] == ["last"]

        await store.retract(source_of("medical"))
        assert await store.digest() == before
    finally:
        await store.close()


async def predicted(store):
    query = (
        "MATCH (g:Gene)-[f:ASSOCIATED_WITH]->(d:Disease) WHERE $source IN f.sources "
        "RETURN g.id AS gene, d.id AS disease, f.belief AS belief, f.qualifiers AS qualifiers ORDER BY gene, disease"
    )
    import orjson

    rows = [row async for row in store.read(query, {"source": source_of("medical")})]
    return [row | {"paths": orjson.loads(row["qualifiers"][0])["paths"]} for row in rows]


async def test_each_relation_is_a_document_of_its_own(embedded_backend: Backend, model, tmp_path):
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        await store.write(families())
        before = await store.digest()
        folders = tmp_path / "cache", tmp_path / "kept"
        both = ("^ASSOCIATED_WITH", "HAS_PHENOTYPE")
        for asked in both:
            settings = replace(SETTINGS, relations=(asked,), min_belief=0.1)
            done = await enhance_graph.enhance_graph(store, "medical", model, settings, *folders)
            assert done.documents == {asked: document_of("medical", asked)}
            assert done.written[asked] > 0
        one_by_one = await store.digest()
        await enhance_graph.enhance_graph(store, "medical", model, replace(settings, relations=both), *folders)
        assert await store.digest() == one_by_one
        await store.retract(document_of("medical", "HAS_PHENOTYPE"))
        assert len(await predicted(store)) > 0
        await store.retract(source_of("medical"))
        assert await store.digest() == before
    finally:
        await store.close()


def test_the_settings_name_all_ways():
    assert set(get_args(By)) == set(WAYS)


class SmallMemory(torch.nn.Module):
    """A link predictor on a device that has memory for so many queries at once."""

    def __init__(self, queries: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.queries, self.asked = queries, []

    def scores(self, head, _relation, _graph, tails):
        self.asked.append(len(head))
        if len(head) > self.queries:
            raise torch.OutOfMemoryError
        return head[:, None] * 100.0 + tails


def test_where_memory_does_not_suffice_fewer_queries_are_asked_at_once():
    facts, tails, heads = random_triples(), torch.tensor([1, 4, 7]), torch.arange(24)
    model = SmallMemory(5)
    way = WAYS["ultra"](facts, Question(1, tails, [], model))
    way.at_once = 16
    for asked in ([16, 8, 4, 4, 4, 4, 4, 4], [4] * 6):
        model.asked.clear()
        assert torch.equal(way.scores(heads), heads[:, None] * 100.0 + tails)
        assert model.asked == asked
    model.queries = 0
    with pytest.raises(ConfigurationError, match=r"one prediction takes about [\d,]+ bytes") as caught:
        way.scores(heads)
    assert f"{bytes_a_query(way._graph):,}" in str(caught.value)


class CutOffError(Exception):
    pass


@pytest.mark.parametrize("by", WAYS)
async def test_a_run_that_was_cut_off_at_any_moment_goes_on_to_the_same_graph(
    embedded_backend: Backend, model, tmp_path, monkeypatch, by
):
    embedded_backend.empty()
    settings = replace(SETTINGS, by=by)
    monkeypatch.setattr(enhance_graph, "_PART", 16)
    monkeypatch.setattr("kg.derived._BATCH", 3)
    store = await embedded_backend.open()
    try:
        await store.write(families(MANY[by]))
        before = await store.digest()
        await enhance_graph.enhance_graph(store, "medical", model, settings, tmp_path / "cache", tmp_path / "whole")
        whole = await store.digest()
        await store.retract(source_of("medical"))
        assert await store.digest() == before
        counts = {"steps": 0, "writes": 0}
        written = store.write

        async def write(batch):
            counts["writes"] += 1
            if counts["writes"] in (2, 4):
                raise CutOffError
            return await written(batch)

        def progress(what, done, of):
            counts["steps"] += 1
            if counts["steps"] in (1, 3, 4):
                raise CutOffError

        store.write = write
        cut = 0
        while True:
            try:
                await enhance_graph.enhance_graph(
                    store, "medical", model, settings, tmp_path / "cache", tmp_path / "kept", progress
                )
                break
            except CutOffError:
                cut += 1
        assert cut == 5
        assert await store.digest() == whole
    finally:
        await store.close()


@pytest.mark.parametrize("by", ["neighbours", "joined"])
async def test_where_nothing_has_changed_nothing_is_asked_again(embedded_backend: Backend, model, tmp_path, by):
    embedded_backend.empty()
    settings = replace(SETTINGS, by=by, only_changed=True)
    store = await embedded_backend.open()

    async def run():
        return await enhance_graph.enhance_graph(
            store, "medical", model, settings, tmp_path / "cache", tmp_path / "kept"
        )

    try:
        many = MANY[by]
        await store.write(families(many))
        first = await run()
        assert first.asked == {"^ASSOCIATED_WITH": 6 * many}
        whole, said = await store.digest(), await predicted(store)

        again = await run()
        assert (again.asked, again.written) == ({"^ASSOCIATED_WITH": 0}, first.written)
        assert await store.digest() == whole

        new = "OMIM:100037"  # of the family of HGNC:4
        terms = [
            c.object for c in families(many).claims if c.subject == "OMIM:100031" and c.relation == "HAS_PHENOTYPE"
        ]
        claims = [Claim(new, "HAS_PHENOTYPE", term, "curated:2", 1.0, {}, "doc:2") for term in terms]
        entity = Entity(new, ("Disease",), "curated:2", {}, "doc:2")
        await store.write(Batch([Source("curated:2", "database", document="doc:2")], [entity], claims, []))
        some = await run()
        assert 1 <= some.asked["^ASSOCIATED_WITH"] < 3 * many
        now = await predicted(store)
        assert ("HGNC:4", new) in {(row["gene"], row["disease"]) for row in now}
        near = {c.subject for c in families(many).claims if c.object in terms}
        assert [row for row in now if row["disease"] not in near | {new}] == [
            row for row in said if row["disease"] not in near
        ]

        await store.retract("curated:2")
        await run()
        assert await predicted(store) == said  # what had changed is as it was, and so is what is said of it

        await store.retract(first.source)
        assert (await run()).asked == first.asked
        assert await store.digest() == whole
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("domain", "relations", "error", "words"),
    [
        ("medical", ("NO_SUCH",), InputError, "relations: the domain 'medical' has no relation 'NO_SUCH'"),
        (
            "medical",
            ("HAS_DIAGNOSIS",),
            InputError,
            "0 facts of HAS_DIAGNOSIS; beliefs can't be calibrated on fewer than 20",
        ),
        (
            "medical",
            ("ASSOCIATED_WITH",),
            InputError,
            "10 facts of ASSOCIATED_WITH; beliefs can't be calibrated on fewer than 20",
        ),
        ("traffic", ("DETECTED_IN",), InputError, "domain: the domain 'traffic' has no facts"),
        ("astrology", ("IS_A",), OntologyError, "astrology"),
    ],
)
async def test_what_cant_be_predicted_is_refused_and_nothing_is_written(
    embedded_backend: Backend, model, tmp_path, domain, relations, error, words
):
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        await store.write(families(2))
        before = await store.digest()
        with pytest.raises(error, match=words):
            settings = replace(SETTINGS, relations=relations)
            await enhance_graph.enhance_graph(store, domain, model, settings, tmp_path / "cache", tmp_path / "kept")
        assert await store.digest() == before
    finally:
        await store.close()


async def test_a_snapshot_without_a_source_is_as_if_it_had_said_nothing(embedded_backend: Backend, tmp_path):
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        await store.write(families(2))
        plain = await load_snapshot(store, "medical", tmp_path / "a")
        claims = [
            Claim("HGNC:1", "ASSOCIATED_WITH", "OMIM:100000", source_of("medical"), 0.7, {}, "doc:2"),
            Claim("HGNC:1", "ASSOCIATED_WITH", "OMIM:100001", source_of("medical"), 0.7, {}, "doc:2"),
        ]
        entry = LedgerEntry("doc:2", "", "1" * 64, "test@1", 2, complete=True)
        await store.write(Batch([Source(source_of("medical"), "prediction", document="doc:2")], [], claims, [entry]))
        full = await load_snapshot(store, "medical", tmp_path / "b")
        assert len(full.tables.fact_subject) == len(plain.tables.fact_subject) + 1
        without = full.without([source_of("medical"), "no:such"])
        for relation in plain.relations:
            for name in ("subject", "object"):
                assert getattr(without.facts(relation), name).tolist() == getattr(plain.facts(relation), name).tolist()
            assert len(without.facts(relation).claims) == len(plain.facts(relation).claims)
        assert full.without(["no:such"]) is full
    finally:
        await store.close()
