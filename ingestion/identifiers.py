"""One spelling for each identifier: `hp:0001250`, `HP_0001250` and its IRI are `HP:0001250`."""

from __future__ import annotations

import re

import curies
from rdflib import SH

from kg.ontology import Ontology

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "HGNC": (),
    "HP": ("HPO",),
    "MONDO": (),
    "NCBIGene": ("Entrez", "EntrezGene", "GeneID", "NCBI_Gene"),
    "OMIM": ("MIM",),
    "ORPHA": ("Orphanet", "ORDO"),
    "PMID": ("PubMed",),
}
"""Prefix → others that are in use for it; upper and lower case are the same."""

_IRIS: dict[str, tuple[str, ...]] = {
    "HP": ("https://purl.obolibrary.org/obo/HP_", "https://hpo.jax.org/browse/term/HP:"),
    "MONDO": ("https://purl.obolibrary.org/obo/MONDO_",),
    "NCBIGene": ("https://www.ncbi.nlm.nih.gov/gene/",),
    "OMIM": ("https://www.omim.org/entry/", "http://omim.org/entry/", "http://www.omim.org/entry/"),
    "ORPHA": ("https://www.orpha.net/ORDO/Orphanet_",),
    "PMID": ("http://pubmed.ncbi.nlm.nih.gov/", "http://www.ncbi.nlm.nih.gov/pubmed/"),
}
_UNDERSCORED = re.compile(r"([A-Za-z]+)_(\d+)")
_CURIE = re.compile(r"([A-Za-z_]+):(\d+)")


class Identifiers:
    """Brings ids to the prefixes that the ontology declares (`sh:declare`), by a table of their synonyms.

    Only numbers are taken for local ids, so that ids of other things which begin alike (`hpo:phenotype.hpoa`, a
    document) stay as they are.
    """

    def __init__(self, ontology: Ontology) -> None:
        graph = ontology.graph
        records = []
        self._prefixes: dict[str, str] = {}
        for entry in sorted(graph.objects(None, SH.declare), key=lambda e: str(graph.value(e, SH.prefix))):
            prefix, iri = str(graph.value(entry, SH.prefix)), str(graph.value(entry, SH.namespace))
            others = [other for other in _IRIS.get(prefix, ()) if other != iri]
            records.append(curies.Record(prefix=prefix, uri_prefix=iri, uri_prefix_synonyms=others))
            for synonym in (prefix, *_SYNONYMS.get(prefix, ())):
                self._prefixes[synonym.casefold()] = prefix
        self._converter = curies.Converter(records)
        known = set(self._prefixes.values())
        given = {s for prefix in known for s in (prefix, *_SYNONYMS.get(prefix, ()))}
        spelt = {form for s in given for form in (s, s.lower(), s.upper(), s.capitalize())}
        self._other = frozenset({*spelt, "http", "https"} - known)

    def one_spelling(self, id_: str) -> str:
        """The id in its one spelling; as it is, and at once, where its prefix has none."""
        return (self.canonical(id_) or id_) if id_.partition(":")[0] in self._other else id_

    def canonical(self, text: str) -> str | None:
        """The id that a text is, in its one spelling; None if it is no id under a prefix that is known."""
        text = text.strip()
        if "://" in text:
            compressed = self._converter.compress(text)
            text = compressed or ""
        match = _CURIE.fullmatch(text) or _UNDERSCORED.fullmatch(text)
        prefix = self._prefixes.get(match[1].casefold()) if match else None
        return f"{prefix}:{match[2]}" if match and prefix else None
