"""What differs between the databases that speak Cypher over Bolt; nothing else knows which one it is."""

from __future__ import annotations

from typing import Protocol

from kg.ontology import Ontology

_UNIQUE = (("Entity", "id"), ("Source", "id"), ("GraphState", "id"), ("LedgerEntry", "document"), ("Merge", "id"))
_INDEXED = (("Entity", "version"), ("Removal", "version"), ("Extent", "document"))


class Dialect(Protocol):
    """One database: its name, the database inside it, its index DDL and index search."""

    name: str
    database: str

    def cypher_schema(self, ontology: Ontology) -> list[str]:
        """Constraints and indexes in Cypher; each may be run again."""

    def sql_schema(self, ontology: Ontology) -> list[str]:
        """Indexes that only the database's SQL can make; each may be run again."""

    def text_indexes(self, ontology: Ontology) -> tuple[str, ...]:
        """Names of the full-text indexes, for `db.index.fulltext.queryNodes`."""

    def vector_index(self, label: str) -> str:
        """Name of the index of vectors of the nodes with a label."""

    def cypher_vector_schema(self, label: str, width: int) -> list[str]:
        """That index, of so many numbers, by cosine, in Cypher; may be run again."""

    def sql_vector_schema(self, label: str, width: int) -> list[str]:
        """The same in the database's SQL."""

    def timed(self, query: str, seconds: float) -> str:
        """The query, marked with its time limit where the database does not heed the one of Bolt's transactions."""


def _constraints_and_ranges() -> list[str]:
    unique = (
        f"CREATE CONSTRAINT {label.lower()}_{name} IF NOT EXISTS FOR (n:{label}) REQUIRE n.{name} IS UNIQUE"
        for label, name in _UNIQUE
    )
    ranges = (
        f"CREATE INDEX {label.lower()}_{name} IF NOT EXISTS FOR (n:{label}) ON (n.{name})" for label, name in _INDEXED
    )
    return [*unique, *ranges]


class Neo4jDialect:
    """Neo4j 5.26 and later."""

    name = "neo4j"
    database = "neo4j"

    def cypher_schema(self, ontology: Ontology) -> list[str]:
        """Everything can be said in Cypher."""
        columns = ", ".join(f"n.{name}" for name in ontology.full_text_properties)
        text = f"CREATE FULLTEXT INDEX entity_text IF NOT EXISTS FOR (n:Entity) ON EACH [{columns}]"
        return [*_constraints_and_ranges(), text]

    def sql_schema(self, ontology: Ontology) -> list[str]:  # noqa: ARG002 (the interface)
        """Nothing."""
        return []

    def text_indexes(self, ontology: Ontology) -> tuple[str, ...]:  # noqa: ARG002 (the interface)
        """One index over all searched properties."""
        return ("entity_text",)

    def vector_index(self, label: str) -> str:
        """As it is made below."""
        return f"{label.lower()}_vector"

    def cypher_vector_schema(self, label: str, width: int) -> list[str]:
        """Neo4j's vector index."""
        options = f"{{indexConfig: {{`vector.dimensions`: {width}, `vector.similarity_function`: 'cosine'}}}}"
        return [
            f"CREATE VECTOR INDEX {self.vector_index(label)} IF NOT EXISTS FOR (n:{label}) ON (n.vector) "
            f"OPTIONS {options}",
            "CALL db.awaitIndexes(300)",
        ]

    def sql_vector_schema(self, label: str, width: int) -> list[str]:  # noqa: ARG002 (the interface)
        """Nothing."""
        return []

    def timed(self, query: str, seconds: float) -> str:  # noqa: ARG002 (the interface)
        """As it is."""
        return query


class ArcadeDialect:
    """ArcadeDB: full-text indexes are made through SQL, one a property; a list is indexed by item."""

    name = "arcadedb"
    database = "evigraph"

    def cypher_schema(self, ontology: Ontology) -> list[str]:  # noqa: ARG002 (the interface)
        """Constraints and ranges."""
        return _constraints_and_ranges()

    def sql_schema(self, ontology: Ontology) -> list[str]:
        """The searched properties and their full-text indexes."""
        statements = []
        for name in ontology.full_text_properties:
            multi = ontology.properties[name].multi
            statements.append(f"CREATE PROPERTY Entity.{name} IF NOT EXISTS {'LIST OF STRING' if multi else 'STRING'}")
            column = f"{name} BY ITEM" if multi else name
            statements.append(f"CREATE INDEX IF NOT EXISTS ON Entity ({column}) FULL_TEXT")
        return statements

    def text_indexes(self, ontology: Ontology) -> tuple[str, ...]:
        """ArcadeDB's own names of those indexes."""
        names = ontology.full_text_properties
        return tuple(f"Entity[{n}{'byitem' if ontology.properties[n].multi else ''}]" for n in names)

    def vector_index(self, label: str) -> str:
        """ArcadeDB's own name."""
        return f"{label}[vector]"

    def cypher_vector_schema(self, label: str, width: int) -> list[str]:  # noqa: ARG002 (the interface)
        """Nothing."""
        return []

    def sql_vector_schema(self, label: str, width: int) -> list[str]:
        """ArcadeDB's vector index, of scores (1 + cosine) / 2 as Neo4j's are."""
        metadata = f'{{"dimensions": {width}, "similarity": "COSINE"}}'
        return [
            f"CREATE VERTEX TYPE {label} IF NOT EXISTS",
            f"CREATE PROPERTY {label}.vector IF NOT EXISTS ARRAY_OF_FLOATS",
            f"CREATE INDEX IF NOT EXISTS ON {label} (vector) LSM_VECTOR METADATA {metadata}",
        ]

    def timed(self, query: str, seconds: float) -> str:
        """With a comment that `kg.embedded_server` reads, which stops the query."""
        return f"/* at most {seconds * 1000:.0f} ms */ {query}"
