"""HL7 FHIR R4 and R5: what hospital systems know of patients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingestion.readers.base import Document, find_documents
from ingestion.readers.beside import Accompanied
from ingestion.readers.fhir_files import LINE_EXTENSIONS, Found, Validator, holds, resources
from ingestion.readers.fhir_records import Writer
from ingestion.readers.fhir_references import References
from ingestion.readers.fhir_terms import ConceptMaps
from kg.errors import InputError
from kg.model import Record, Rejected, Source

_SHOWN = 2000


class FhirReader:
    """Bundles, bulk exports (a resource a line) and single resources.

    Read are Patient, Condition, Observation, DiagnosticReport, FamilyMemberHistory and ConceptMap; of every other type
    one note says how many there were. The ConceptMaps of a folder hold for all its documents.
    """

    name = "fhir"
    version = "2"
    extensions: tuple[str, ...] = (".json", *LINE_EXTENSIONS)
    example = "evigraph ingest fhir bundle.json"

    def __init__(self) -> None:
        self._maps: dict[Path, ConceptMaps] = {}

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        if path is None:
            raise InputError("reader fhir needs a file or folder")
        found = list(find_documents(self, path, name))
        maps = tuple(d.path for d in found if len(found) > 1 and holds(d, "ConceptMap"))
        for document in found:
            yield Accompanied(document, () if document.path in maps else maps)

    def read(self, document: Document) -> Iterator[Record]:
        """The source and the patients, then what is said of them; the file is gone through twice."""
        yield Source(document.id, "document", name=document.path.name, document=document.id)
        validator = Validator()
        references = References(document)
        beside = document.beside if isinstance(document, Accompanied) else ()
        own = ConceptMaps(self._mapped(path, validator) for path in beside)
        writer = Writer(document, references, own)
        for found in resources(document):
            if isinstance(found, Rejected):
                continue  # it comes up once more below
            references.learn(found)
            if found.type == "ConceptMap":
                if (problem := _invalid(validator, found, document.id)) is None:
                    own.add(found.value)
                else:
                    yield problem
            elif found.type == "Patient":
                problem = _invalid(validator, found, document.id)
                yield from writer.records(found) if problem is None else (problem,)
        others: dict[str, tuple[int, str]] = {}
        for found in resources(document):
            if isinstance(found, Rejected):
                yield found
            elif found.type not in writer.types:
                count, first = others.get(found.type, (0, found.place))
                others[found.type] = (count + 1, first)
            elif found.type != "Patient":
                problem = _invalid(validator, found, document.id)
                yield from writer.records(found) if problem is None else (problem,)
        others.pop("ConceptMap", None)
        for type_, (count, first) in sorted(others.items()):
            reason = f"{type_} is not read; {count:,} left out"
            yield Rejected(reason, first, "", document.id)

    def _mapped(self, path: Path, validator: Validator) -> ConceptMaps:
        """The mappings of a file beside, which reports its own faults when it is read itself."""
        if path not in self._maps:
            maps = self._maps[path] = ConceptMaps()
            for found in resources(Document(path.name, path)):
                if isinstance(found, Found) and found.type == "ConceptMap" and validator.problem(found) is None:
                    maps.add(found.value)
        return self._maps[path]


def _invalid(validator: Validator, found: Found, document: str) -> Rejected | None:
    problem = validator.problem(found)
    if problem is None:
        return None
    path, reason = problem
    place = f"{found.place}.{path}" if path else found.place
    return Rejected(f"{found.type}.{path}: {reason}" if path else reason, place, str(found.value)[:_SHOWN], document)
