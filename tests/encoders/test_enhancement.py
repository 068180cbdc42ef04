import random
from dataclasses import replace

import pytest

from encoders.graph import enhance_graph
from encoders.graph.enhance_graph import source_of
from encoders.graph.enhancement import EnhancementSettings
from encoders.graph.weights import load_predictor
from kg.batch import Batch, LedgerEntry
from kg.errors import InputError, OntologyError
from kg.model import Claim, Entity, Source
from kg.snapshot import load_snapshot
from tests.support.backends import Backend

SOURCE = Source("curated:1", "database", document="doc:1")
SETTINGS = EnhancementSettings(("^ASSOCIATED_WITH",), top_k=2, min_belief=0.5, hidden=0.3)


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


async def test_what_is_predicted_is_written_and_taken_back_to_the_digest_before(backend: Backend, model, tmp_path):
    store = await backend.open()
    try:
        await store.write(families())
        before = await store.digest()
        folders = tmp_path / "cache", tmp_path / "kept"
        done = await enhance_graph.enhance_graph(store, "medical", model, SETTINGS, *folders)
        assert done.written["^ASSOCIATED_WITH"] >= 8
        assert done.calibration["^ASSOCIATED_WITH"]["hidden"] == 18
        facts = await predicted(store)
        right = [row for row in facts if int(row["gene"][5:]) - 1 == (int(row["disease"][5:]) - 100000) // 10]
        assert len(right) / len(facts) > 0.7
        for row in facts:
            assert SETTINGS.min_belief <= row["belief"] <= 1
            path = row["paths"].split(" | ")[0].split()
            assert (path[0], path[-1]) == (row["disease"], row["gene"])
            assert path[1::2] in (["HAS_PHENOTYPE", "^HAS_PHENOTYPE", "^ASSOCIATED_WITH"], path[1::2])
        after = await store.digest()
        assert after != before

        again = await enhance_graph.enhance_graph(store, "medical", model, SETTINGS, *folders)
        assert again.written == done.written
        assert await store.digest() == after
        assert not list((tmp_path / "kept").iterdir())

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


class CutOffError(Exception):
    pass


async def test_a_run_that_was_cut_off_at_any_moment_goes_on_to_the_same_graph(
    backend: Backend, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(enhance_graph, "_PART", 16)
    monkeypatch.setattr("kg.derived._BATCH", 3)
    store = await backend.open()
    try:
        await store.write(families())
        before = await store.digest()
        await enhance_graph.enhance_graph(store, "medical", model, SETTINGS, tmp_path / "cache", tmp_path / "whole")
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
                    store, "medical", model, SETTINGS, tmp_path / "cache", tmp_path / "kept", progress
                )
                break
            except CutOffError:
                cut += 1
        assert cut == 5
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
