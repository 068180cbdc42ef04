from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ingestion.claims import ClaimsMessage, claims_of
from ingestion.dead_letters import DeadLetter, read_letters, write_letters
from ingestion.push import Pusher
from ingestion.replay import replay
from kg.errors import ConflictError, StoreUnavailableError
from kg.model import Claim, Rejected
from kg.store import GraphStore, LedgerEntry
from tests.support.backends import Backend

CLAIM = {"subject": "detection:1", "relation": "DETECTED_IN", "object": "camera:1", "source": "yolo:1"}
SOURCE = {"id": "yolo:1", "kind": "model"}


@pytest.fixture
async def store(embedded_backend: Backend) -> AsyncIterator[GraphStore]:
    embedded_backend.empty()
    store = await embedded_backend.open()
    yield store
    await store.close()


def message(**parts: object) -> ClaimsMessage:
    return ClaimsMessage.model_validate(parts)


async def test_a_push_that_was_cut_off_can_be_sent_again(
    store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pusher = Pusher(store, tmp_path / "letters.jsonl")
    said = message(id="a", sources=[SOURCE], claims=[CLAIM, CLAIM | {"relation": "NO_SUCH"}])
    write = GraphStore.write

    async def cut(self: GraphStore, batch: Any) -> Any:
        await write(self, batch)
        raise StoreUnavailableError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(GraphStore, "write", cut)
        with pytest.raises(StoreUnavailableError):
            await pusher.push(said)
    digest = await store.digest()
    report = await pusher.push(said)
    assert report.repeated
    assert [r.place for r in report.refused] == ["claims[1]"]
    assert await store.digest() == digest
    assert len(list(read_letters(tmp_path / "letters.jsonl"))) == 1
    with pytest.raises(ConflictError, match="push:a"):
        await pusher.push(message(id="a", sources=[SOURCE]))


async def test_refused_claims_are_replayed_once_their_source_is_there(store: GraphStore, tmp_path: Path) -> None:
    letters = tmp_path / "letters.jsonl"
    pusher = Pusher(store, letters)
    report = await pusher.push(message(id="a", claims=[CLAIM]))
    assert (report.claims, [r.reason for r in report.refused]) == (0, ["nothing describes its source yolo:1"])
    assert (await replay(store, letters)).refused == 1
    await pusher.push(message(id="b", sources=[SOURCE]))
    done = await replay(store, letters)
    assert (done.written, done.refused, done.left, done.facts) == (1, 0, [], 1)
    assert not list(read_letters(letters))
    (fact,) = await store.neighbourhood("detection:1")
    assert (fact["claims"][0]["document"], fact["claims"][0]["place"]) == ("push:a", "claims[0]")


async def test_letters_of_streams_are_replayed_by_their_reader(store: GraphStore, tmp_path: Path) -> None:
    letters = tmp_path / "letters.jsonl"
    entry = LedgerEntry("stream:claims", "nats://host", "", "claims@1", 2, complete=True)
    await store.write(_batch(entry))
    text = '{"sources": [{"id": "yolo:1", "kind": "model"}], "claims": [%s]}'
    good = '{"subject": "a:1", "relation": "DETECTED_IN", "object": "camera:1", "source": "yolo:1"}'
    found = [
        DeadLetter("stream:claims", "nats://host", "01", 1, "claims[0]", "was not known then", text % good),
        DeadLetter("stream:claims", "nats://host", "02", 1, "", "not JSON", "{"),
        DeadLetter("stream:gone", "nats://host", "03", 1, "", "not JSON", "{"),
    ]
    write_letters(letters, found)
    done = await replay(store, letters)
    assert (done.written, done.refused, done.left) == (1, 1, [("stream:gone", "was taken back")])
    assert list(read_letters(letters)) == found[1:]
    assert len(await store.neighbourhood("a:1")) == 1


def _batch(entry: LedgerEntry) -> Any:
    from kg.store import Batch

    return Batch(ledger=[entry])


async def test_nothing_is_known_of_a_vocabulary_that_is_not_loaded(store: GraphStore, tmp_path: Path) -> None:
    claim = {"subject": "OMIM:1", "relation": "HAS_PHENOTYPE", "object": "HP:0001250", "source": "yolo:1"}
    report = await Pusher(store, tmp_path / "letters.jsonl").push(message(sources=[SOURCE], claims=[claim, CLAIM]))
    assert report.claims == 1
    (refused,) = report.refused
    assert "load the vocabulary first" in refused.reason


@pytest.mark.parametrize(
    ("stated", "place", "reason"),
    [
        ([], "", "not an object"),
        ("text", "", "not an object"),
        ({}, "", "no claims, entities or sources"),
        ({"claims": {}}, "claims", "not a list"),
        ({"claims": [1]}, "claims[0]", "valid dictionary"),
        ({"claims": [CLAIM | {"confidence": "high"}]}, "claims[0]", "confidence"),
        ({"claims": [CLAIM | {"confidence": 1e400}]}, "claims[0]", "confidence"),
        ({"claims": [CLAIM | {"subject": 7}]}, "claims[0]", "subject"),
        ({"claims": [CLAIM | {"object": "a b"}]}, "claims[0]", "object"),
        ({"claims": [CLAIM | {"qualifiers": {"n": 2**63}}]}, "claims[0]", "beyond 64 bits"),
        ({"sources": [{"id": "a:1", "kind": "rumour"}]}, "sources[0]", "kind"),
        ({"entities": [{"id": "a:1", "classes": [], "source": "a:2"}]}, "entities[0]", "classes"),
        ({"claims": [], "facts": []}, "", "unknown member: facts"),
    ],
)
def test_broken_parts_are_refused_and_the_rest_is_kept(stated: object, place: str, reason: str) -> None:
    if isinstance(stated, dict) and isinstance(stated.get("claims", []), list) and stated:
        stated = stated | {"claims": [*stated.get("claims", []), CLAIM]}
    records = list(claims_of(stated, "push:a"))
    (refused,) = [record for record in records if isinstance(record, Rejected)]
    assert refused.place == place
    assert reason in refused.reason
    if isinstance(stated, dict) and stated.get("claims"):
        assert [record.subject for record in records if isinstance(record, Claim)] == ["detection:1"]
