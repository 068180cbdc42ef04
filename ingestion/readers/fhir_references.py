"""Which thing a FHIR resource is, and which a reference means: one id for both.

Rules of https://hl7.org/fhir/references.html: a `fullUrl` is a resource's identity, so the same patient of the same
server is one in several bundles; a relative reference has the base of the `fullUrl` of who refers. Ids without a base
are unique within their bundle or, in bulk exports and single files, within their folder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ingestion.readers.base import Document
from ingestion.readers.fhir_files import Found, is_bundle
from ingestion.readers.traffic_ids import curie, dataset

_REST = re.compile(r"https?://(?P<base>\S+)/(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]+)(/_history/[^/]+)?")
_RELATIVE = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(/(?P<id>[A-Za-z0-9.-]+)(/_history/[^/]+)?|\?\S+)")
_REFERRED = frozenset(
    ("Patient", "Group", "Location", "Device", "Practitioner", "PractitionerRole", "RelatedPerson", "CareTeam",
     "Organization")
)  # fmt: skip
"""Types that a subject, asserter or performer may have."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What is referred to; `type` is empty where nothing says it."""

    id: str
    type: str
    name: str


class References:
    """Ids within one document.

    It remembers the patients and persons of a bundle; of bulk exports nothing.
    """

    def __init__(self, document: Document) -> None:
        self._space = dataset(document)
        if is_bundle(document):
            self._space = re.sub(r"\.[^./]+$", "", document.id.partition(":")[2])
        self._known: dict[str, tuple[str, str]] = {}
        self.births: dict[str, str] = {}

    def learn(self, found: Found) -> None:
        """Notes a resource of a bundle, for references to it."""
        if not found.bundled or found.type not in _REFERRED:
            return
        id_, own = self.id(found), found.value.get("id")
        if isinstance(own, str) and id_ != curie("fhir", self._space, found.type, own):
            self._known[f"{found.type}/{own}"] = (id_, found.type)
        if found.url.startswith("urn:"):
            self._known[found.url] = (id_, found.type)
        if found.type == "Patient" and isinstance(birth := found.value.get("birthDate"), str):
            self.births[id_] = birth

    def id(self, found: Found) -> str:
        """The id of a resource."""
        if match := _REST.fullmatch(found.url):
            return curie("fhir", match["base"], match["type"], match["id"])
        own = found.value.get("id")
        if found.url.startswith("urn:"):
            return curie("fhir", self._space, found.type, own) if isinstance(own, str) else f"fhir:{found.url}"
        return curie("fhir", self._space, found.type, own if isinstance(own, str) else found.place)

    def resolve(self, reference: Any, found: Found) -> Reference:  # noqa: ANN401 (JSON)
        """What a Reference of a resource means.

        Raises:
            LookupError: it does not say what it means by an address.
        """
        text = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(text, str) or not text:
            raise LookupError("has no reference")
        if text.startswith("#"):
            raise LookupError(f"{text} is contained in the resource, which is not read")
        name = reference.get("display") or ""
        stated = reference.get("type") or ""
        if text.startswith("urn:"):
            id_, type_ = self._known.get(text, (f"fhir:{''.join(text.split())}", stated))
            return Reference(id_, type_, name)
        if match := _REST.fullmatch(text):
            return Reference(curie("fhir", match["base"], match["type"], match["id"]), match["type"], name)
        match = _RELATIVE.fullmatch(text)
        if match is None:
            raise LookupError(f"{text[:100]!r} is no reference to a resource")
        if not match["id"]:  # a search, as in transactions
            return Reference(curie("fhir", self._space, text), match["type"], name)
        plain = f"{match['type']}/{match['id']}"
        if plain in self._known:
            return Reference(self._known[plain][0], match["type"], name)
        base = _REST.fullmatch(found.url)
        return Reference(curie("fhir", base["base"] if base else self._space, plain), match["type"], name)
