"""Turtle files that say what is known of a domain, looked up by subject and property."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyoxigraph as ox

from kg.errors import InputError

EG = "https://w3id.org/evigraph/"
SKOS = "http://www.w3.org/2004/02/skos/core#"
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"


def load_turtle(paths: Iterable[Path]) -> ox.Store:
    """The statements of all files together.

    Raises:
        InputError: a file can't be read, or is no Turtle; names it.
    """
    store = ox.Store()
    for path in paths:
        try:
            store.bulk_load(path=str(path), format=ox.RdfFormat.TURTLE)
        except (SyntaxError, OSError) as error:
            raise InputError(f"is no Turtle: {error}", str(path)) from error
    return store


def instances(store: ox.Store, class_: str) -> list[str]:
    """IRIs of what is of a class, in their order; what has no name is left out.

    Args:
        store: of `load_turtle`.
        class_: its IRI.
    """
    found = store.quads_for_pattern(None, ox.NamedNode(_TYPE), ox.NamedNode(class_))
    return sorted(quad.subject.value for quad in found if isinstance(quad.subject, ox.NamedNode))


def objects(store: ox.Store, subject: str, predicate: str) -> list[ox.NamedNode | ox.Literal]:
    """What a subject has as a property, in any order; both are IRIs."""
    found = store.quads_for_pattern(ox.NamedNode(subject), ox.NamedNode(predicate), None)
    return [quad.object for quad in found if isinstance(quad.object, ox.NamedNode | ox.Literal)]
