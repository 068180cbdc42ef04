from dataclasses import replace

import numpy as np
import orjson
import pytest
import torch

from encoders.graph.embed_graph import Similar, embed_graph
from encoders.graph.entity_embeddings import EntityEmbeddings
from encoders.graph.signatures import signatures
from encoders.graph.text_vectors import TextVectors
from kg.batch import Batch
from kg.errors import InputError, NotFoundError
from kg.model import Claim, Entity
from kg.snapshot import load_snapshot
from tests.encoders.test_enhancement import SOURCE, families
from tests.support.backends import Backend


def named(many: int = 12) -> Batch:
    """Families whose findings have names, and whose diseases have none."""
    batch = families(many)
    entities = [
        replace(entity, properties={"name": f"sign {entity.id[3:]}"}) if "Phenotype" in entity.classes else entity
        for entity in batch.entities
    ]
    return replace(batch, entities=entities)


def family_of(disease: str) -> int:
    return (int(disease.removeprefix("OMIM:")) - 100000) // 10


async def test_what_is_alike_is_near_and_the_graph_is_as_before(backend: Backend, tmp_path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "embeddings"
    store = await backend.open()
    try:
        await store.write(named())
        before = await store.digest()
        done = await embed_graph(store, "medical", cache, folder / "medical")
        snapshot = await load_snapshot(store, "medical", cache)
        assert done.entities == done.written == len(snapshot)
        assert await store.digest() == before
        similar = Similar(folder, cache)
        right = 0
        for family in range(12):
            model, found = await similar.to(store, f"OMIM:{family * 10 + 100001}", 5, ["Disease"])
            assert model == done.model
            assert len(found) == 5
            assert [near.similarity for near in found] == sorted((n.similarity for n in found), reverse=True)
            right += sum(family_of(near.id) == family for near in found)
        assert right >= 45  # of 60

        again = await embed_graph(store, "medical", cache, folder / "medical")
        assert (again.written, again.removed, again.model) == (0, 0, done.model)

        new = "OMIM:999999"
        terms = [fact.object for fact in named().claims if fact.subject == "OMIM:100030"]
        await store.write(
            Batch(
                [SOURCE],
                [Entity(new, ("Disease",), SOURCE.id, {}, SOURCE.document)],
                [Claim(new, "HAS_PHENOTYPE", term, SOURCE.id, 1.0, {}, SOURCE.document) for term in terms],
                [],
            )
        )
        _, found = await similar.to(store, new, 3, ["Disease"])
        assert {family_of(near.id) for near in found} == {3}
        stored = await store.vectors.of("medical", new)
        assert stored is not None

        await store.retract(SOURCE.id)
        await store.write(named(2))
        left = await embed_graph(store, "medical", cache, folder / "medical")
        assert left.removed > 0
        assert await store.vectors.ids("medical") == {f.id for f in named(2).entities}
        with pytest.raises(NotFoundError, match="no embedding of 'OMIM:999999'"):
            await similar.to(store, new, 3, [])
    finally:
        await store.close()


@pytest.fixture
async def snapshot(embedded_backend: Backend, tmp_path):
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        await store.write(named())
        return await load_snapshot(store, "medical", tmp_path / "cache")
    finally:
        await store.close()


async def test_an_entity_alone_has_the_vector_that_it_has_among_all(snapshot, tmp_path) -> None:
    every = np.arange(len(snapshot))
    made = EntityEmbeddings.of(snapshot, every)
    whole = made(snapshot, every)
    asked = np.array([3, 60, 100])
    assert torch.allclose(made(snapshot, asked), whole[asked], atol=1e-5)
    made.save(tmp_path / "kept")
    kept = EntityEmbeddings.load(tmp_path / "kept", "medical")
    assert torch.equal(kept(snapshot, every), whole)
    assert kept.card == made.card

    with pytest.raises(InputError, match="embeddings of the domain 'medical', not 'traffic'"):
        EntityEmbeddings.load(tmp_path / "kept", "traffic")
    card = tmp_path / "kept" / "card.json"
    card.write_bytes(orjson.dumps(made.card | {"width": 7}))
    with pytest.raises(InputError, match="another version"):
        EntityEmbeddings.load(tmp_path / "kept", "medical")
    card.write_bytes(orjson.dumps(made.card))
    (tmp_path / "kept" / "words.json").write_text("{")
    with pytest.raises(InputError, match="no embeddings"):
        EntityEmbeddings.load(tmp_path / "kept", "medical")


async def test_cosines_are_about_those_of_facts_weighted_by_how_rare_they_are(snapshot) -> None:
    every = np.arange(len(snapshot))
    vectors = EntityEmbeddings.of(snapshot, every)(snapshot, every)
    diseases = [snapshot.index(f"OMIM:{100000 + at}") for at in (0, 1, 2, 30)]
    likeness = vectors[diseases] @ vectors[diseases].T
    assert torch.allclose(likeness.diagonal(), torch.ones(4))
    assert likeness[0, 1] > 0.3 > abs(likeness[0, 3])


async def test_an_empty_domain_has_no_embeddings(embedded_backend: Backend, tmp_path) -> None:
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        await store.write(named(2))
        with pytest.raises(InputError, match="the domain 'traffic' has no entities"):
            await embed_graph(store, "traffic", tmp_path / "cache", tmp_path / "kept")
        alone = Entity("OMIM:1", ("Disease",), SOURCE.id, {"name": "sign"}, SOURCE.document)
        await store.retract(SOURCE.id)
        await store.write(Batch([SOURCE], [alone], [], []))
        await embed_graph(store, "medical", tmp_path / "cache", tmp_path / "medical")
        vector, _ = await store.vectors.of("medical", "OMIM:1") or ([], "")
        assert np.linalg.norm(vector) == pytest.approx(1)  # of its name, as nothing else is known
        assert not (tmp_path / "kept").exists()
        with pytest.raises(NotFoundError, match="no embedding of 'HP:1' in any domain"):
            await Similar(tmp_path, tmp_path / "cache").to(store, "HP:1", 3, [])
    finally:
        await store.close()


def test_texts_of_like_words_are_near_in_any_language() -> None:
    texts = ["Febrile seizure", "Focal seizure with fever", "Cleft palate", "Cleft lip", "热性惊厥", "婴儿惊厥", "唇裂"]
    made = TextVectors.fit(texts)
    likeness = made(texts, 512) @ made(["Atonic seizure", "腭裂"], 512).T
    assert likeness[0, 0] > likeness[2, 0] + 0.1
    assert int(likeness[:, 1].argmax()) == 6
    assert made(["", "…"], 512).abs().sum() == 0
    assert made(["xyzzy"], 512).norm() == pytest.approx(1)


def test_signatures_are_of_length_one_and_about_orthogonal() -> None:
    signs = signatures(["a", "b", "a"], 1024)
    assert torch.equal(signs[0], signs[2])
    assert signs[0] @ signs[0] == pytest.approx(1)
    assert abs(float(signs[0] @ signs[1])) < 0.15
    assert signatures([], 64).shape == (0, 64)
