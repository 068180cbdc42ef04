"""Training of sentence vectors on what concepts are called, so that names of one concept lie near one another.

In a batch, each name is to be nearer to another name of its concept than to the names of all others (InfoNCE with
in-batch negatives: Henderson et al. 2017, arXiv:1705.00652; on names of biomedical concepts: Liu et al. 2021,
arXiv:2010.11784).
"""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from encoders.checkpoint import Checkpoint, Standing, fingerprint
from encoders.concepts.names import ConceptName
from encoders.progress import Progress, quiet
from encoders.schedule import warmed
from encoders.text import SentenceEncoder
from kg.errors import InputError


@dataclass(frozen=True, slots=True)
class TextTrainingSettings:
    """How to train.

    Attributes:
        epochs: passes over all concepts with several names, at most.
        patience: epochs without better held-out names after which to stop.
        batch: pairs of names of a step; each is compared with all others.
        rate: greatest learning rate, of AdamW, warmed up and decayed linearly.
        temperature: that similarities are divided by.
        held_out: share of the concepts with several names of which one synonym is kept to measure by.
        seed: of all that is drawn.
    """

    epochs: int = 3
    patience: int = 1
    batch: int = 64
    rate: float = 5e-5
    temperature: float = 0.05
    held_out: float = 0.1
    seed: int = 0


def train_text(
    names: Sequence[ConceptName],
    model: str,
    settings: TextTrainingSettings,
    progress: Progress = quiet,
    checkpoint: Path | None = None,
) -> SentenceEncoder:
    """Sentence vectors for the names of a vocabulary; the card of what is returned says how good they are.

    Args:
        names: of all concepts.
        model: folder, or a hub's name, of the transformer to begin with.
        settings: how.
        progress: told as it goes.
        checkpoint: folder for the state after each epoch, from which a training that was stopped goes on.

    Raises:
        InputError: there is no such transformer; no concept has two names.
    """
    torch.manual_seed(settings.seed)
    draw = torch.Generator().manual_seed(settings.seed)
    learned, asked = _split(names, settings)
    several = [texts for texts in _by_concept(learned).values() if len(texts) > 1]
    if not several or not asked:
        raise InputError("names of concepts: too few concepts have several to learn from")
    encoder = SentenceEncoder(model)
    network = encoder.network
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate)
    made_of = fingerprint(asdict(settings) | {"model": model}, names)
    kept = Checkpoint(checkpoint, made_of) if checkpoint is not None else None
    now = kept.load(network, optimiser, draw) if kept is not None else Standing()
    if not now.history:
        now.history.append({"epoch": 0, **found_names(encoder, learned, asked), "seconds": 0.0})
        now.best = now.history[0]["mrr"]
        now.best_weights = copy.deepcopy(network.state_dict())
    started = time.perf_counter() - now.history[-1]["seconds"]
    steps = math.ceil(len(several) / settings.batch)
    while now.epochs < settings.epochs and now.epochs - now.best_epoch <= settings.patience:
        network.train()
        for number, some in enumerate(torch.randperm(len(several), generator=draw).split(settings.batch)):
            progress("Training", now.epochs * steps + number, settings.epochs * steps)
            share = (now.epochs + number / steps) / settings.epochs
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * warmed(share, 1 / (steps * settings.epochs))
            pairs = [_pair(several[at], draw) for at in some.tolist()]
            loss = _loss(encoder, pairs, settings.temperature)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        network.eval()
        now.epochs += 1
        now.history.append({"epoch": now.epochs, **found_names(encoder, learned, asked),
                            "seconds": time.perf_counter() - started})  # fmt: skip
        if now.history[-1]["mrr"] > now.best:
            now.best, now.best_epoch = now.history[-1]["mrr"], now.epochs
            now.best_weights = copy.deepcopy(network.state_dict())
        if kept is not None:
            kept.save(now, network, optimiser, draw)
    network.load_state_dict(now.best_weights)
    encoder.card = asdict(settings) | {
        "task": "text", "id": made_of[:8], "model": Path(model).name, "names": len(names), "concepts": len(several),
        "asked": len(asked), "best_epoch": now.best_epoch, "history": now.history,
    }  # fmt: skip
    if kept is not None:
        kept.remove()
    return encoder


def found_names(
    encoder: SentenceEncoder, known: Sequence[ConceptName], asked: Sequence[ConceptName]
) -> dict[str, float]:
    """How well the concept of a name is told by the nearest name that is known.

    Returns:
        `hits1`, `hits10` and `mrr` over the concepts, each of which stands where its nearest name does.
    """
    vectors = encoder.encode([name.text for name in known])
    number: dict[str, int] = {}
    of = np.array([number.setdefault(name.concept, len(number)) for name in known])
    ranks = []
    for start in range(0, len(asked), 256):
        part = asked[start : start + 256]
        for row, name in zip(encoder.encode([name.text for name in part]) @ vectors.T, part, strict=True):
            best = np.full(len(number), -1.0, np.float32)
            np.maximum.at(best, of, row)
            ranks.append(1 + int((best > best[number[name.concept]]).sum()))
    at = np.array(ranks)
    return {"hits1": float((at <= 1).mean()), "hits10": float((at <= 10).mean()), "mrr": float((1 / at).mean())}


def _split(names: Sequence[ConceptName], settings: TextTrainingSettings) -> tuple[list[ConceptName], list[ConceptName]]:
    """Names to learn from, and synonyms of a share of the concepts, which no other name is alike to."""
    times: dict[str, int] = defaultdict(int)
    for name in names:
        times[name.text.casefold()] += 1
    by_concept: dict[str, list[ConceptName]] = defaultdict(list)
    for name in names:
        if not name.preferred and times[name.text.casefold()] == 1:
            by_concept[name.concept].append(name)
    random = np.random.default_rng(settings.seed)
    concepts = sorted(by_concept)
    chosen = random.permutation(len(concepts))[: round(len(concepts) * settings.held_out)]
    asked = [of[random.integers(len(of))] for of in (by_concept[concepts[at]] for at in sorted(chosen))]
    held = {(name.concept, name.text) for name in asked}
    return [name for name in names if (name.concept, name.text) not in held], asked


def _by_concept(names: Sequence[ConceptName]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[name.concept].append(name.text)
    return found


def _pair(texts: Sequence[str], draw: torch.Generator) -> tuple[str, str]:
    one, other = torch.randperm(len(texts), generator=draw)[:2].tolist()
    return texts[one], texts[other]


def _loss(encoder: SentenceEncoder, pairs: Sequence[tuple[str, str]], temperature: float) -> Tensor:
    """Mean over both directions: each pair is of one concept, and no two pairs are of the same."""
    left = encoder.vectors([one for one, _ in pairs])
    right = encoder.vectors([other for _, other in pairs])
    similar = left @ right.T / temperature
    right_ones = torch.arange(len(pairs), device=similar.device)
    cross: Any = torch.nn.functional.cross_entropy
    both: Tensor = (cross(similar, right_ones) + cross(similar.T, right_ones)) / 2
    return both
