"""Whether entities with like embeddings belong together: diseases of HPO that share a gene, whose links were hidden.

A tenth of the disease–gene facts is hidden. For each of them whose gene has other diseases in the graph: is one of
these among the ten diseases whose embeddings are likest? By what is in the vectors, with the seconds that making them
all took.

    python -m benchmarks.similar_entities [--seeds 0,1,2] [--queries N] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import structlog
import torch
from torch import Tensor

from benchmarks.missing_links import hpo_graph
from encoders.graph import entity_embeddings
from encoders.graph.domain_graph import triples_of
from encoders.graph.entity_embeddings import EntityEmbeddings, text_of
from kg.snapshot import Snapshot
from kg.vectors import WIDTH

_BEST = 10


def hidden_links(snapshot: Snapshot, seed: int) -> tuple[Snapshot, Tensor, Tensor]:
    """The snapshot without a tenth of the disease–gene facts, and these: genes, diseases."""
    first = snapshot.facts("ASSOCIATED_WITH").first
    many = len(snapshot.facts("ASSOCIATED_WITH"))
    hidden = first + np.random.default_rng(seed).permutation(many)[: many // 10]
    tables = snapshot.tables
    keep = np.ones(len(tables.claim_source), np.bool_)
    for fact in hidden.tolist():
        keep[tables.claim_start[fact] : tables.claim_start[fact + 1]] = False
    rest = Snapshot(snapshot.domain, snapshot.version, snapshot.relations, tables.keep_claims(keep))
    genes, diseases = (
        torch.from_numpy(column[hidden].astype(np.int64)) for column in (tables.fact_subject, tables.fact_object)
    )
    return rest, genes, diseases


def share_found(vectors: Tensor, snapshot: Snapshot, genes: Tensor, diseases: Tensor) -> tuple[float, int]:
    """The share of hidden links that are found, and how many could be."""
    relation = snapshot.relations.index("ASSOCIATED_WITH")
    facts = triples_of(snapshot)
    of_gene: dict[int, set[int]] = defaultdict(set)
    for gene, disease in zip(*(x[facts.relation == relation].tolist() for x in (facts.head, facts.tail)), strict=True):
        of_gene[gene].add(disease)
    among = torch.tensor(snapshot.entities("Disease"))
    found = []
    for gene, disease in zip(genes.tolist(), diseases.tolist(), strict=True):
        if others := of_gene[gene] - {disease}:
            likeness = vectors[among] @ vectors[disease]
            likeness[among == disease] = -1.0
            found.append(bool(others & set(among[likeness.topk(_BEST).indices].tolist())))
    return float(np.mean(found)), len(found)


def main() -> None:
    """Prints a line for each seed and sort of vectors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--queries", type=int, default=600, help="hidden links looked at, at most")
    parser.add_argument("--json", type=Path, help="write the shares to this file")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    whole, _ = asyncio.run(hpo_graph())
    weight = entity_embeddings.TEXT
    shares: dict[str, list[float]] = {}
    for seed in map(int, options.seeds.split(",")):
        snapshot, genes, diseases = hidden_links(whole, seed)
        every = np.arange(len(snapshot))  # also what was left of an end of a hidden fact
        made = EntityEmbeddings.of(snapshot, every)
        texts = [text_of(snapshot, at) for at in range(len(snapshot))]
        entity_embeddings.TEXT = 0.0
        facts = made(snapshot, every)
        entity_embeddings.TEXT = weight
        start = time.perf_counter()
        both = made(snapshot, every)
        seconds = time.perf_counter() - start
        for name, vectors in (("words", made.text(texts, WIDTH)), ("facts", facts), ("both", both)):
            share, many = share_found(vectors, snapshot, genes[: options.queries], diseases[: options.queries])
            shares.setdefault(name, []).append(share)
            print(f"seed {seed} {name:6} {share:.3f} of {many}", flush=True)
        print(f"seed {seed} {len(both):,} vectors in {seconds:.1f} s", flush=True)
    if options.json:
        options.json.write_text(json.dumps(shares, indent=1) + "\n")


if __name__ == "__main__":
    main()
