"""Claims that a text mentions concepts of the graph, by their names there."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from encoders.concepts.context import Status
from encoders.concepts.names import ConceptName
from encoders.concepts.reader import ConceptReader, FoundConcept
from ingestion.extraction.passages import Passage
from kg.model import Claim, Record, Source
from kg.ontology import Ontology
from kg.store import GraphStore

_CONFIDENCE: dict[Status, float] = {
    "present": 0.9, "excluded": 0.9, "family": 0.9, "uncertain": 0.5, "hypothetical": 0.5,
}  # fmt: skip
"""That the text names the concept: precision of mentions on annotated texts; what it says of it is in `assertion`."""
_NAMES = """
MATCH (n:Entity) WHERE any(label IN labels(n) WHERE label IN $labels) AND n.name IS NOT NULL
RETURN n.id AS id, n.name AS name, n.synonyms AS synonyms, labels(n) AS labels,
       coalesce(n.obsolete, false) AS obsolete ORDER BY id
"""


async def vocabulary(store: GraphStore, ontology: Ontology) -> tuple[list[ConceptName], frozenset[str]]:
    """Names of what is looked for in texts: members of the classes that the ontology says.

    Args:
        store: has them.
        ontology: see `Ontology.read_classes`.

    Returns:
        The names, and the ids of the diseases among them.
    """
    names, diseases = [], set()
    async for row in store.read(_NAMES, {"labels": sorted(ontology.read_classes)}, 600):
        if not row["obsolete"]:
            names.append(ConceptName(row["id"], row["name"]))
            names += [ConceptName(row["id"], other, preferred=False) for other in row["synonyms"] or ()]
            if "Disease" in row["labels"]:
                diseases.add(row["id"])
    return names, frozenset(diseases)


class ConceptExtractor:
    """Claims that a document mentions concepts of the graph.

    Args:
        reader: has their names.
        diseases: ids of those that are diseases.
        settled_by: name of the model that tells which of several concepts a name means; empty: none does.
    """

    def __init__(self, reader: ConceptReader, diseases: frozenset[str] = frozenset(), settled_by: str = "") -> None:
        version = f"1+{quote(settled_by, safe='@.+-_')}" if settled_by else "1"
        self.source = Source(
            f"concepts:names@{version}", "model", "Names of the graph's concepts", model="concepts", version=version
        )
        self._reader = reader
        self.diseases = diseases

    def records(self, passage: Passage) -> Iterator[Record]:
        """See `Extractor.records`."""
        for found in self.findings(passage):
            yield mention_claim(passage, self.source.id, found)

    def findings(self, passage: Passage) -> list[FoundConcept]:
        """The concepts that a text names, in its order."""
        return self._reader.find(passage.text)


def mention_claim(
    passage: Passage, source: str, found: FoundConcept, relation: str = "MENTIONED_IN", subject: str = ""
) -> Claim:
    """The claim that a text names a concept, or, with a subject, that the subject has to do with it.

    Args:
        passage: the text.
        source: who says so.
        found: what was found in it.
        relation: from the concept to the document, or from the subject to the concept.
        subject: id of what the claim is about; empty: the concept.
    """
    qualifiers = passage.qualifiers(found.start, found.end)
    qualifiers |= {"assertion": found.status, "mention": passage.text[found.start : found.end]}
    ends = (subject, found.concept) if subject else (found.concept, passage.document)
    if not subject:
        qualifiers["subject_mention"] = qualifiers.pop("mention")
    confidence = round(_CONFIDENCE[found.status] * passage.confidence(found.start), 4)
    return Claim(ends[0], relation, ends[1], source, confidence, qualifiers, passage.document, f"c{found.start}")
