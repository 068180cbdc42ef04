"""LangChain's and LlamaIndex's Neo4j writers, fed with triples; runs in an environment of theirs (see `writers`).

Nothing of Evigraph is imported, and theirs only in functions. A job comes as JSON on stdin, figures go to stdout.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

_BATCH = 1_000
"""What LlamaIndex sends at once; LangChain sends one `GraphDocument` at once, however large."""

Triple = tuple[str, str, str]
Job = dict[str, Any]
Write = Callable[[Path], None]


def _read(file: Path) -> list[Triple]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, delimiter="\t")
        next(rows)
        return [(f"wn:{head}", relation, f"wn:{tail}") for head, relation, tail in rows]


def langchain(job: Job) -> Write:
    """`add_graph_documents`: with `sources` a document for each triple, else one for a thousand."""
    from langchain_core.documents import Document  # type: ignore[import-not-found,unused-ignore]
    from langchain_neo4j import Neo4jGraph  # type: ignore[import-not-found,unused-ignore]
    from langchain_neo4j.graphs.graph_document import (  # type: ignore[import-not-found,unused-ignore]
        GraphDocument,
        Node,
        Relationship,
    )

    graph = Neo4jGraph(job["uri"], job["user"], job["password"])
    graph.query("CREATE CONSTRAINT IF NOT EXISTS FOR (b:__Entity__) REQUIRE b.id IS UNIQUE")
    graph.refresh_schema()

    def write(file: Path) -> None:
        triples = _read(file)
        size = 1 if job["sources"] else _BATCH
        documents = []
        for start in range(0, len(triples), size):
            part = triples[start : start + size]
            nodes = {name: Node(id=name, type="Concept") for head, _, tail in part for name in (head, tail)}
            relationships = [
                Relationship(source=nodes[head], target=nodes[tail], type=relation) for head, relation, tail in part
            ]
            source = (
                Document(page_content=" ".join(part[0]), metadata={"id": f"{file}#L{start + 2}"})
                if job["sources"]
                else None
            )
            documents.append(GraphDocument(nodes=list(nodes.values()), relationships=relationships, source=source))
        graph.add_graph_documents(documents, include_source=job["sources"], baseEntityLabel=True)

    return write


def llama_index(job: Job) -> Write:
    """`upsert_nodes` and `upsert_relations`; with `sources` a chunk for each triple mentions its nodes."""
    from llama_index.core.graph_stores.types import (  # type: ignore[import-not-found,unused-ignore]
        TRIPLET_SOURCE_KEY,
        ChunkNode,
        EntityNode,
        Relation,
    )
    from llama_index.graph_stores.neo4j import (  # type: ignore[import-not-found,unused-ignore]
        Neo4jPropertyGraphStore,
    )

    graph = Neo4jPropertyGraphStore(job["user"], job["password"], job["uri"])  # makes its constraints, too

    def write(file: Path) -> None:
        triples = _read(file)
        if job["sources"]:
            chunks, nodes, relations = [], [], []
            for line, (head, relation, tail) in enumerate(triples, 2):
                place = f"{file}#L{line}"
                source = {TRIPLET_SOURCE_KEY: place}
                chunks.append(ChunkNode(text=f"{head} {relation} {tail}", id_=place))
                nodes += [EntityNode(name=name, label="Concept", properties=source) for name in (head, tail)]
                relations.append(Relation(label=relation, source_id=head, target_id=tail, properties=source))
            graph.upsert_nodes(chunks)
        else:
            names = dict.fromkeys(name for head, _, tail in triples for name in (head, tail))
            nodes = [EntityNode(name=name, label="Concept") for name in names]
            relations = [Relation(label=relation, source_id=head, target_id=tail) for head, relation, tail in triples]
        graph.upsert_nodes(nodes)
        graph.upsert_relations(relations)

    return write


WRITERS: dict[str, Callable[[Job], Write]] = {
    "langchain-neo4j": langchain,
    "llama-index-graph-stores-neo4j": llama_index,
}


def main() -> None:
    """One job, of `package`, `uri`, `user`, `password`, `files` and `sources`; the seconds that each file took."""
    job = json.load(sys.stdin)
    write = WRITERS[job["package"]](job)
    seconds = []
    for file in job["files"]:
        started = time.perf_counter()
        write(Path(file))
        seconds.append(time.perf_counter() - started)
    json.dump({"seconds": seconds, "version": version(job["package"])}, sys.stdout)
