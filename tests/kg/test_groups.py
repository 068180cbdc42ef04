"""Strategies by hand, and the belief of facts that compete: the same however their claims came."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from kg.belief import ALWAYS, STRATEGIES, Vote
from kg.errors import OntologyError
from kg.groups import beliefs, settle
from kg.model import Claim, Source
from kg.ontology import Ontology
from kg.store import Batch, GraphStore, open_store
from tests.kg.graphs import content, ledger
from tests.support.backends import Backend

SHIPPED = sorted((Path(__file__).parents[2] / "kg" / "ontologies").glob("*.ttl"))
HEAD = """
@prefix eg: <https://w3id.org/evigraph/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
"""
KITCHEN = """
eg:hasColour a owl:ObjectProperty, owl:FunctionalProperty ; eg:fusion "majority-vote" .
eg:hasOwner a owl:ObjectProperty, owl:FunctionalProperty ; eg:fusion "latest-wins" .
eg:hasMaker a owl:ObjectProperty, owl:FunctionalProperty ; eg:fusion "dawid-skene" .
eg:hasTaste a owl:ObjectProperty, owl:FunctionalProperty ; eg:fusion "weighted-average" .
eg:contains a owl:ObjectProperty ; eg:fusion "majority-vote" .
eg:lacks a owl:ObjectProperty ; owl:propertyDisjointWith eg:contains .
"""


def ontology(folder: Path, text: str) -> Ontology:
    file = folder / "kitchen.ttl"
    file.write_text(HEAD + text, encoding="utf-8")
    return Ontology.load([*SHIPPED, file])


# ---- strategies


def vote(source: str, confidence: float = 1.0, reliability: float = 0.8, since: float | None = None) -> Vote:
    return Vote(source, reliability, confidence, ALWAYS if since is None else (since, math.inf))


@pytest.mark.parametrize("name", STRATEGIES)
def test_without_competitors_one_claim_is_what_its_source_is_worth(name: str) -> None:
    expected = 0.6 if name == "weighted-average" else 0.48
    assert STRATEGIES[name]([vote("a", 0.6)], []) == pytest.approx(expected)
    assert STRATEGIES[name]([], []) == 0.0
    assert STRATEGIES[name]([], [[vote("a")]]) == 0.0


def test_weighted_average() -> None:
    own = [vote("a", 0.5, 0.9), vote("a", 1.0, 0.9), vote("b", 0.5, 0.3)]
    assert STRATEGIES["weighted-average"](own, []) == pytest.approx((0.9 * 1.0 + 0.3 * 0.5) / 1.2)
    assert STRATEGIES["weighted-average"](own, [[vote("c", 1.0, 0.6)]]) == pytest.approx((0.9 + 0.15) / 1.8)
    assert STRATEGIES["weighted-average"]([vote("a", 1.0, 0.0)], []) == 0.0


def test_majority_vote() -> None:
    majority = STRATEGIES["majority-vote"]
    assert majority([vote("a"), vote("b")], [[vote("c")]]) == pytest.approx(2 / 3 * (1 - 0.2**2))
    assert majority([vote("c")], [[vote("a"), vote("b")]]) == pytest.approx(1 / 3 * 0.8)
    assert majority([vote("a", 0.9)], [[vote("a", 0.4)]]) == pytest.approx(0.72)  # its surest claim is its vote
    assert majority([vote("a", 0.9)], [[vote("a", 0.9)]]) == pytest.approx(0.5 * 0.72)
    assert majority([vote("a")], [[vote("b", 1.0, 0.0)]]) == pytest.approx(0.8)  # who does not count has no vote


def test_dawid_skene() -> None:
    fuse = STRATEGIES["dawid-skene"]
    # three possibilities: this, the other, none; whoever errs says each of the other two alike
    this, other, none = 0.9 * 0.8 * 0.2, 0.05 * 0.1 * 0.6, 0.05 * 0.1 * 0.2
    own, against = [vote("a", 0.9, 1.0), vote("b", 0.8, 1.0)], [vote("c", 0.6, 1.0)]
    assert fuse(own, [against]) == pytest.approx(this / (this + other + none))
    assert fuse(against, [own]) == pytest.approx(other / (this + other + none))
    assert fuse([vote("a", 1.0, 1.0)], [[vote("b", 0.5, 1.0)]]) == pytest.approx(1.0)
    assert 0.0 <= fuse([vote("a", 1.0, 1.0)], [[vote("b", 1.0, 1.0)]]) < 0.5


def test_latest_wins() -> None:
    latest = STRATEGIES["latest-wins"]
    first, second, third = vote("a", since=1.0), vote("b", since=2.0), vote("c", since=3.0)
    assert latest([first, third], [[second]]) == pytest.approx(0.8)  # what was said before the other is past
    assert latest([second], [[first, third]]) == 0.0
    assert latest([first], [[replace_since(second, 1.0)]]) == pytest.approx(0.8)  # at one time: both stay
    assert latest([vote("a")], [[first]]) == 0.0  # without a time: from ever
    ended = Vote("a", 0.8, 1.0, (3.0, 5.0))
    assert latest([first], [[ended]]) == 0.0  # what began earlier is past, though nobody said when it ended
    assert latest([ended], [[first]]) == pytest.approx(0.8)
    assert latest([replace_since(first, 3.0)], [[ended]]) == pytest.approx(0.8)  # of one beginning, what still holds
    assert latest([ended], [[replace_since(first, 3.0)]]) == 0.0
    assert latest([first], [[Vote("q", 0.0, 1.0, (9.0, math.inf))]]) == pytest.approx(0.8)  # who does not count


def replace_since(known: Vote, since: float) -> Vote:
    return known._replace(when=(since, math.inf))


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_order_shows_and_belief_is_a_share(name: str) -> None:
    dice = random.Random(name)
    for _ in range(200):
        votes = [
            [vote(dice.choice("abcd"), dice.random(), dice.random(), dice.choice([None, 1.0, 2.0])) for _ in range(n)]
            for n in (dice.randint(1, 4), dice.randint(0, 3), dice.randint(0, 3))
        ]
        weights = {v.source: v.reliability for option in votes for v in option}
        votes = [[v._replace(reliability=weights[v.source]) for v in option] for option in votes]
        expected = STRATEGIES[name](votes[0], votes[1:])
        assert 0.0 <= expected <= 1.0
        for option in votes:
            dice.shuffle(option)
        assert STRATEGIES[name](votes[0], votes[1:]) == expected


@pytest.mark.parametrize("name", STRATEGIES)
def test_who_does_not_count_is_as_if_not_there(name: str) -> None:
    quarantined = vote("q", 1.0, 0.0, 9.0)
    own, others = [vote("a", 0.9)], [[vote("b", 0.6), vote("c", 0.7)]]
    expected = STRATEGIES[name](own, others)
    assert STRATEGIES[name]([*own, quarantined], [*others, [quarantined]]) == expected
    assert STRATEGIES[name]([quarantined], others) == 0.0


# ---- the ontology's choice


def test_the_ontology_chooses(tmp_path: Path) -> None:
    read = ontology(tmp_path, KITCHEN)
    assert read.relation("HAS_COLOUR").fusion == "majority-vote"
    assert read.relation("HAS_COLOUR").functional
    assert read.relation("LACKS").fusion == read.relation("IS_A").fusion == "noisy-or"
    assert read.settled["LACKS"] == read.settled["CONTAINS"] == ("CONTAINS",)
    assert "IS_A" not in read.settled


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('eg:has a owl:ObjectProperty ; eg:fusion "guess" .', "eg:has: unknown eg:fusion 'guess'; known: dawid-skene"),
        ('eg:has a owl:ObjectProperty ; eg:fusion "latest-wins" .', "neither functional nor disjoint"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(OntologyError, match=reason):
        ontology(tmp_path, text)


def test_what_is_shipped_costs_nothing() -> None:
    assert Ontology.load().settled == {}


def test_qualifiers_say_when(tmp_path: Path) -> None:
    relation = ontology(tmp_path, KITCHEN).relation("HAS_OWNER")
    times = {
        "E:1": '{"valid_from":"2024-01-01"}',
        "E:2": '{"said_at":"2024-01-01T02:00:00+01:00"}',  # an hour later
        "E:3": '{"said_at":"yesterday"}',
        "E:4": "{}",
        "E:5": '{"valid_from":"2024-06-01T00:00:00Z","valid_to":"2024-07-01"}',
    }
    rows = [
        {"subject": "E:0", "relation": "HAS_OWNER", "object": o, "belief": 0.5}
        | {"sources": ["S:1"], "confidences": [1.0], "qualifiers": [q]}
        for o, q in times.items()
    ]
    settled = {row["o"]: row["b"] for row in settle(relation, rows, lambda _: 0.9)}
    assert settled == {"E:1": 0.0, "E:2": 0.0, "E:3": 0.0, "E:4": 0.0, "E:5": 0.9}


# ---- in the graph


@pytest_asyncio.fixture
async def store(backend: Backend, tmp_path: Path) -> AsyncIterator[GraphStore]:
    read = ontology(tmp_path, KITCHEN)
    opened = await open_store(backend.url, read, password=backend.password, heap="512m")
    yield opened
    await opened.close()


SOURCES = [Source(f"S:{n}", "person", reliability=0.5 + n / 10, document=f"doc:{n}") for n in range(4)]
RELATIONS = ("HAS_COLOUR", "HAS_OWNER", "HAS_MAKER", "HAS_TASTE", "CONTAINS", "LACKS")


def said(
    relation: str, object_: str, source: Source, confidence: float = 1.0, subject: str = "E:0", **qualifiers: str
) -> Claim:
    return Claim(subject, relation, object_, source.id, confidence, qualifiers, source.document)


def drawn(seed: int) -> list[Claim]:
    dice = random.Random(seed)
    times = [{}, {"said_at": "2024-01-01"}, {"valid_from": "2024-02-01"}, {"valid_to": "2024-03-01"}]
    return [
        said(
            dice.choice(RELATIONS),
            f"E:{dice.randint(3, 5)}",
            dice.choice(SOURCES),
            dice.choice([0.0, 0.4, 1.0]),
            f"E:{dice.randint(0, 2)}",
            **dice.choice(times),
        )
        for _ in range(40)
    ]


async def believed(store: GraphStore) -> dict[tuple[str, str, str], float]:
    query = "MATCH (s:Entity)-[f]->(o:Entity) RETURN s.id AS s, type(f) AS r, o.id AS o, f.belief AS b"
    return {(row["s"], row["r"], row["o"]): row["b"] async for row in store.read(query)}


def expected(ontology: Ontology, claims: list[Claim]) -> dict[tuple[str, str, str], float]:
    """Belief by the strategies, out of all claims at once."""
    reliabilities = {source.id: source.reliability for source in SOURCES}
    rows: dict[tuple[str, str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for c in claims:
        key = c.source, "{" + ",".join(f'"{n}":"{v}"' for n, v in c.qualifiers.items()) + "}"
        said_before = rows[c.subject, c.relation, c.object].get(key, 0.0)
        rows[c.subject, c.relation, c.object][key] = max(c.confidence, said_before)
    found = {}
    for subject in {s for s, _, _ in rows}:
        for relation in RELATIONS:
            group = [
                {
                    "subject": s,
                    "relation": r,
                    "object": o,
                    "belief": -1.0,
                    "sources": [source for source, _ in said],
                    "confidences": list(said.values()),
                    "qualifiers": [qualifiers for _, qualifiers in said],
                }
                for (s, r, o), said in rows.items()
                if s == subject
            ]
            for row in settle(ontology.relation(relation), group, lambda id_: reliabilities[id_] or 0.0):
                found[subject, relation, row["o"]] = row["b"]
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_belief_is_a_function_of_the_claims(store: GraphStore, backend: Backend, seed: int) -> None:
    claims = drawn(seed)
    entries = [ledger(source.document) for source in SOURCES]
    for start in range(0, len(claims), 7):
        await store.write(Batch(SOURCES, [], claims[start : start + 7], entries))
    found = await believed(store)
    assert found == pytest.approx(expected(store.ontology, claims), abs=1e-12)
    whole = await content(store)

    retracted = SOURCES[seed]
    await store.retract(retracted.id)
    left = [claim for claim in claims if claim.source != retracted.id]
    assert await believed(store) == pytest.approx(expected(store.ontology, left), abs=1e-12)
    await store.write(Batch(SOURCES, [], claims, entries))
    assert await content(store) == whole

    backend.empty()
    random.Random(seed).shuffle(claims)
    await store.write(Batch(SOURCES, [], claims, entries))
    assert await content(store) == whole


async def test_another_trust_in_a_source_changes_what_its_competitors_are_believed(store: GraphStore) -> None:
    a, b, c = SOURCES[:3]
    claims = [said("HAS_COLOUR", "E:1", a), said("HAS_COLOUR", "E:2", b), said("HAS_COLOUR", "E:2", c)]
    await store.write(Batch(SOURCES, [], claims))
    before = await believed(store)
    assert before["E:0", "HAS_COLOUR", "E:1"] == pytest.approx(1 / 3 * 0.5)
    await store.trust(b.id, quarantined=True)
    assert (await believed(store))["E:0", "HAS_COLOUR", "E:1"] == pytest.approx(1 / 2 * 0.5)
    await store.trust(b.id)
    assert await believed(store) == before


async def test_a_snapshot_hears_of_competitors(store: GraphStore) -> None:
    await store.write(Batch(SOURCES, [], [said("HAS_COLOUR", "E:1", SOURCES[0])]))
    version = await store.version()
    await store.write(Batch([], [], [said("HAS_COLOUR", "E:2", SOURCES[1])]))
    changed = {row[2]: row[3] async for rows in store.scan_facts(["HAS_COLOUR"], version) for row in rows}
    assert changed == {"E:1": 0.25, "E:2": 0.3}


def test_beliefs_of_a_disjoint_relation_are_not_its_own(tmp_path: Path) -> None:
    relation = ontology(tmp_path, KITCHEN).relation("CONTAINS")
    facts = {("CONTAINS", "E:1"): [vote("a")], ("LACKS", "E:1"): [vote("b")], ("LACKS", "E:2"): [vote("c")]}
    assert beliefs(relation, facts) == {"E:1": pytest.approx(0.4)}
    assert beliefs(replace(relation, contradicts=frozenset()), facts) == {"E:1": pytest.approx(0.8)}
