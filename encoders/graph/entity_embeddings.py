"""Embeddings of entities by relational message passing over names and signatures, without learned weights.

Every entity and relation has a signature (random signs made of its id), every text a vector. With ⊙ the product number
by number and rare(e) = log(entities / facts of e),

    h(e) = the sum over facts (e, r, t) of rare(t) · signature(t) ⊙ signature(r), brought to length 1
    m(e) = the same of signature(t) + NEIGHBOURS · h(t) instead of signature(t)
    embedding(e) = m(e) + TEXT · text(e), brought to length 1

so that the cosine of two entities is about that of their facts by TF-IDF, where facts with alike neighbours count as
alike, and that of their words (random projection as in FastRP, Chen et al. 2019, with relations). Nothing is learned of
a single entity: a new one gets its vector from its text and facts. `benchmarks.similar_entities` measures it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from encoders.graph.domain_graph import triples_of
from encoders.graph.propagation import Propagation
from encoders.graph.signatures import signatures
from encoders.graph.text_vectors import TextVectors
from encoders.graph.triples import Triples
from kg.errors import InputError
from kg.ontology import Ontology
from kg.snapshot import Snapshot
from kg.vectors import WIDTH

NEIGHBOURS = 0.6
TEXT = 0.7
"""Both by the share of diseases that share a gene with one of their ten likest, on links that were hidden."""

Longs = NDArray[np.int64]


class EntityEmbeddings:
    """Makes embeddings of a domain's entities.

    Args:
        text: knows how rare words are.
        card: on what graph that was counted; any JSON with `domain` and `entities`.
    """

    def __init__(self, text: TextVectors, card: dict[str, Any]) -> None:
        self.card = card
        self.text = text

    @property
    def model(self) -> str:
        """Name and version of what makes the embeddings."""
        return f"signatures {self.card['version']}"

    @classmethod
    def of(cls, snapshot: Snapshot, members: Longs) -> Self:
        """Counts the words of a domain's texts.

        Args:
            snapshot: of the domain.
            members: see `members_of`.
        """
        text = TextVectors.fit(text_of(snapshot, at) for at in members.tolist())
        card: dict[str, Any] = {
            "task": "embeddings",
            "domain": snapshot.domain,
            "entities": len(members),
            "graph_version": snapshot.version,
            "width": WIDTH,
            "neighbours": NEIGHBOURS,
            "text": TEXT,
        }
        counted = orjson.dumps([text.texts, text.counts, card["entities"], WIDTH, NEIGHBOURS, TEXT])
        card["version"] = hashlib.blake2b(counted, digest_size=6).hexdigest()
        return cls(text, card)

    def save(self, folder: Path) -> None:
        """Writes `words.json` and, last, `card.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").unlink(missing_ok=True)
        (folder / "words.json").write_bytes(orjson.dumps({"texts": self.text.texts, "counts": self.text.counts}))
        (folder / "card.json").write_bytes(orjson.dumps(self.card, option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, folder: Path, domain: str) -> Self:
        """From a folder.

        Raises:
            InputError: it has none, or those of another domain or another version of Evigraph; names the file.
        """
        try:
            card = orjson.loads((folder / "card.json").read_bytes())
            words = orjson.loads((folder / "words.json").read_bytes())
            text = TextVectors(int(words["texts"]), dict(words["counts"]))
            of, made = str(card["domain"]), (card["width"], card["neighbours"], card["text"])
            int(card["entities"]), str(card["version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"no embeddings: {error}", str(folder)) from error
        if of != domain:
            raise InputError(f"embeddings of the domain {of!r}, not {domain!r}", str(folder / "card.json"))
        if made != (WIDTH, NEIGHBOURS, TEXT):
            raise InputError("embeddings of another version; make them again", str(folder / "card.json"))
        return cls(text, card)

    def __call__(self, snapshot: Snapshot, entities: Longs) -> Tensor:
        """float32 (entities, `WIDTH`) vectors of length 1, from what lies two facts around; 0 if there is nothing."""
        facts = triples_of(snapshot).with_inverses()
        degree = torch.bincount(facts.head, minlength=facts.nodes)
        asked = torch.zeros(facts.nodes, dtype=torch.bool)
        asked[torch.from_numpy(entities)] = True
        first = facts.take(asked[facts.head])
        near = asked.clone()
        near[first.tail] = True
        read = facts.take(near[facts.head])
        near[read.tail] = True
        members = torch.nonzero(near).squeeze(1)
        place = torch.empty(facts.nodes, dtype=torch.int64)
        place[members] = torch.arange(len(members))
        small = Triples(place[read.head], read.relation, place[read.tail], len(members), read.relations)
        states = self._states(snapshot, small, members, degree[members])[place[torch.from_numpy(entities)]]
        text = self.text([text_of(snapshot, at) for at in entities.tolist()], WIDTH)
        return normalize(states + TEXT * text, dim=1)

    def _states(self, snapshot: Snapshot, facts: Triples, members: Tensor, degree: Tensor) -> Tensor:
        """Each member's m."""
        names = [*snapshot.relations, *(f"^{name}" for name in snapshot.relations)]
        relations = signatures(names, WIDTH)[:, None] * WIDTH**0.5  # 1 or −1: turns, and keeps the length
        own = signatures((snapshot.id(at) for at in members.tolist()), WIDTH)
        rare = torch.log(self.card["entities"] / degree.clamp(min=1)).clamp(min=0.0)[:, None]
        along = Propagation(facts)
        states = normalize(along.sums((own * rare)[:, None], relations)[:, 0], dim=1)
        return normalize(along.sums(((own + NEIGHBOURS * states) * rare)[:, None], relations)[:, 0], dim=1)


def members_of(snapshot: Snapshot, ontology: Ontology) -> Longs:
    """Positions of the entities of a snapshot's domain: of a class, or at an end of a fact, that the domain defines."""
    found = np.zeros(len(snapshot), np.bool_)
    for label in ontology.domain_classes(snapshot.domain):
        found[snapshot.entities(label)] = True
    for name in snapshot.relations:
        if ontology.relations[name].domain_of == snapshot.domain:
            facts = snapshot.facts(name)
            found[facts.subject] = found[facts.object] = True
    return np.flatnonzero(found)


def text_of(snapshot: Snapshot, entity: int) -> str:
    """Name, synonyms and definition of an entity; empty if it has none."""
    properties = snapshot.properties(entity)
    said = properties.get("name", ""), *properties.get("synonyms", ()), properties.get("definition", "")
    return " ".join(map(str, said)).strip()
