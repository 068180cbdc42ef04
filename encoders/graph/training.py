"""Fine-tuning of the link predictor on the facts of one graph.

A step asks for the tails (or heads) of a few facts that are taken out of the graph while they are asked for; the loss
is the binary cross-entropy of the true one and of sampled wrong ones, these weighted by how likely the model
finds them (self-adversarial sampling, Sun et al. 2019, §3.3; as ULTRA does).
Under `torchrun`, each process asks for facts of its own and gradients are averaged.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, distributed
from torch.nn.functional import binary_cross_entropy_with_logits

from encoders.graph.evaluation import evaluate_links
from encoders.graph.model import LinkPredictor, PreparedGraph
from encoders.graph.triples import Triples
from encoders.weights import save_tensors, save_weights


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How to train.

    Attributes:
        steps: at most so many.
        batch: facts asked for in a step.
        negatives: wrong answers sampled a fact.
        temperature: of the weights of wrong answers; 0 weights them alike.
        rate: learning rate of AdamW.
        every: steps between two validations.
        patience: validations without a better one, after which training ends.
        seed: of all that is drawn.
    """

    steps: int = 1000
    batch: int = 8
    negatives: int = 128
    temperature: float = 1.0
    rate: float = 5e-4
    every: int = 100
    patience: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """After some steps: the mean loss since the last report, and the validation's MRR, also the best one so far."""

    step: int
    loss: float
    mrr: float
    best: float


Candidates = Callable[[int], Tensor]
"""Nodes that may be the tail of a relation (beyond the graph's relations: of the inverse), int64, ascending."""


def train(
    model: LinkPredictor,
    facts: Triples,
    targets: Tensor,
    validate: Callable[[LinkPredictor], float],
    settings: TrainingSettings,
    *,
    candidates: Candidates | None = None,
    checkpoint: Path | None = None,
    report: Callable[[TrainingProgress], None] = lambda _: None,
) -> float:
    """Trains a model, leaves it with the weights of its best validation, and returns that one's MRR.

    Args:
        model: to begin with, on any device.
        facts: the graph, on the model's device.
        targets: positions of the facts that may be asked for.
        validate: MRR of a model on facts that are not in the graph.
        settings: how.
        candidates: among which wrong answers are drawn; default: all nodes.
        checkpoint: file kept while training; a training that was cut off goes on from it.
        report: told after each validation.

    Raises:
        ValueError: there is nothing to ask for.
    """
    if not len(targets):
        raise ValueError("no facts to train on")
    run = _Run(model, PreparedGraph.of(facts), targets, settings, candidates)
    best, best_weights, bad, losses = validate(model), copy.deepcopy(model.state_dict()), 0, []
    start = 0
    if checkpoint is not None and checkpoint.exists():
        start, best, bad, best_weights = run.resume(checkpoint)
    for step in range(start, settings.steps):
        losses.append(run.step(step))
        if (step + 1) % settings.every and step + 1 != settings.steps:
            continue
        mrr = validate(model)
        bad = 0 if mrr > best else bad + 1
        if mrr > best:
            best, best_weights = mrr, copy.deepcopy(model.state_dict())
        report(TrainingProgress(step + 1, sum(losses) / len(losses), mrr, best))
        losses.clear()
        if checkpoint is not None and _rank() == 0:
            run.save(checkpoint, step + 1, best, bad, best_weights)
        if bad > settings.patience:
            break
    model.load_state_dict(best_weights)
    if checkpoint is not None and _rank() == 0:
        checkpoint.unlink(missing_ok=True)
    return best


@contextmanager
def process_group() -> Iterator[None]:
    """Joins the processes that `torchrun` started; alone, it does nothing."""
    if not distributed.is_torchelastic_launched():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def fine_tune(
    model: LinkPredictor,
    facts: Triples,
    valid: Triples,
    settings: TrainingSettings,
    folder: Path,
    *,
    ranked: int = 500,
    report: Callable[[TrainingProgress], None] = lambda _: None,
) -> dict[str, Any]:
    """Trains a model on all facts of a graph, and writes `weights.safetensors` and `card.json` into a folder.

    Args:
        model: to begin with, on any device.
        facts: the graph.
        valid: facts that are not in it, of the same nodes and relations.
        settings: how.
        folder: must be there; what a training that was cut off left in it is gone on from.
        ranked: facts of `valid` that a validation ranks, drawn by the seed.
        report: told after each validation.

    Returns:
        The card.
    """
    device = next(model.parameters()).device
    draw = torch.Generator().manual_seed(settings.seed)
    judged = valid.take(torch.randperm(len(valid), generator=draw)[:ranked])

    def validate(trained: LinkPredictor) -> float:
        return evaluate_links(trained.eval(), facts, judged, [valid]).mrr

    before = validate(model)
    start = time.perf_counter()
    everything = torch.arange(len(facts))
    checkpoint = folder / "training.safetensors"
    best = train(model, facts.to(device), everything, validate, settings, checkpoint=checkpoint, report=report)
    card = {
        "task": "links",
        "data": {"facts": len(facts), "entities": facts.nodes, "relations": facts.relations, "ranked": len(judged)},
        "metric": "filtered MRR of both directions, on facts held out",
        "mrr_before": round(before, 4),
        "mrr": round(best, 4),
        "seconds": round(time.perf_counter() - start, 1),
        "seed": settings.seed,
        "settings": asdict(settings),
        "versions": {"torch": torch.__version__},
    }
    if _rank() == 0:
        save_weights(model, folder / "weights.safetensors")
        (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return card


class _Run:
    def __init__(
        self,
        model: LinkPredictor,
        graph: PreparedGraph,
        targets: Tensor,
        settings: TrainingSettings,
        candidates: Candidates | None,
    ) -> None:
        self._model, self._graph, self._settings = model, graph, settings
        self._targets = targets.cpu()
        self._device = graph.facts.head.device
        self._facts = graph.facts.to(torch.device("cpu"))
        self._known = self._facts.keys().sort().values
        everything = torch.arange(graph.facts.nodes)
        self._candidates = candidates or (lambda _: everything)
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=settings.rate)

    def step(self, number: int) -> float:
        """One step; what it draws depends on the seed and its number alone."""
        draw = torch.Generator().manual_seed((self._settings.seed * 1_000_003 + number) * 64 + _rank())
        rows = self._targets[torch.randint(len(self._targets), (self._settings.batch,), generator=draw)]
        inverse = torch.rand(len(rows), generator=draw) < 0.5
        asked = self._facts.take(torch.where(inverse, rows + len(self._facts) // 2, rows))
        wrong, weight = self._wrong(asked, draw)
        tails = torch.cat((asked.tail[:, None], wrong), 1)
        graph = self._graph.without(rows.to(self._device))
        head, relation, tails = (numbers.to(self._device) for numbers in (asked.head, asked.relation, tails))
        logits = self._model(head, relation, graph, tails)
        loss = self._loss(logits, weight.to(self._device))
        self._optimizer.zero_grad()
        loss.backward()
        _average_gradients(self._model)
        self._optimizer.step()
        return float(loss.detach())

    def _wrong(self, asked: Triples, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """(batch, negatives) nodes, and 1 where they are wrong answers, 0 where they are known ones."""
        nodes = torch.empty(len(asked), self._settings.negatives, dtype=torch.int64)
        for row, relation in enumerate(asked.relation.tolist()):
            among = self._candidates(relation)
            nodes[row] = among[torch.randint(len(among), (self._settings.negatives,), generator=draw)]
        head, relation = (ends[:, None].expand_as(nodes).reshape(-1) for ends in (asked.head, asked.relation))
        drawn = Triples(head, relation, nodes.reshape(-1), asked.nodes, asked.relations).keys()
        at = torch.searchsorted(self._known, drawn).clamp(max=len(self._known) - 1)
        return nodes, (self._known[at] != drawn).float().reshape(nodes.shape)

    def _loss(self, logits: Tensor, counts: Tensor) -> Tensor:
        true, wrong = logits[:, 0], logits[:, 1:]
        temperature = self._settings.temperature
        weight = counts
        if temperature:
            weight = counts * torch.softmax(wrong.detach() / temperature, 1)
        weight = weight / weight.sum(1, keepdim=True).clamp(min=1e-9)
        missed = binary_cross_entropy_with_logits(true, torch.ones_like(true))
        mistaken = binary_cross_entropy_with_logits(wrong, torch.zeros_like(wrong), reduction="none")
        return (missed + (mistaken * weight).sum(1).mean()) / 2

    def save(self, path: Path, step: int, best: float, bad: int, best_weights: dict[str, Tensor]) -> None:
        """Writes all that `resume` needs, whole or not at all."""
        tensors = {f"model.{name}": tensor for name, tensor in self._model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in best_weights.items()}
        tensors |= {
            f"optimizer.{number}.{name}": tensor
            for number, state in self._optimizer.state_dict()["state"].items()
            for name, tensor in state.items()
        }
        tensors["at"] = torch.tensor([step, best, bad], dtype=torch.float64)
        save_tensors(tensors, path)

    def resume(self, path: Path) -> tuple[int, float, int, dict[str, Tensor]]:
        """Goes back to where a training was: (step, best MRR, validations since, best weights)."""
        tensors = load_file(path)
        step, best, bad = tensors.pop("at").tolist()
        self._model.load_state_dict(dict(_under("model.", tensors)))
        whole = self._optimizer.state_dict()
        for name, tensor in _under("optimizer.", tensors):
            number, _, key = name.partition(".")
            whole["state"].setdefault(int(number), {})[key] = tensor
        self._optimizer.load_state_dict(whole)
        return int(step), best, int(bad), dict(_under("best.", tensors))


def _under(prefix: str, tensors: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    return ((name.removeprefix(prefix), tensor) for name, tensor in tensors.items() if name.startswith(prefix))


def _rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def _average_gradients(model: torch.nn.Module) -> None:
    if not distributed.is_initialized():
        return
    for parameter in model.parameters():
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= distributed.get_world_size()
