import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from encoders.graph.evaluation import evaluate_links
from encoders.graph.model import LinkPredictor
from encoders.graph.predictor import load_predictor
from encoders.graph.training import TrainingSettings, train
from encoders.graph.triples import Triples
from tests.encoders.graphs import random_triples, triples

SMALL = TrainingSettings(steps=6, batch=4, negatives=8, every=2, seed=3)


def small_model() -> LinkPredictor:
    torch.manual_seed(0)
    return LinkPredictor(width=8, layers=2)


def rings() -> Triples:
    """Relation 1 goes two steps along relation 0, in many small rings."""
    rows = []
    for ring in range(0, 120, 6):
        for at in range(6):
            rows += [(ring + at, 0, ring + (at + 1) % 6), (ring + at, 1, ring + (at + 2) % 6)]
    return triples(rows)


def test_a_model_learns_what_holds_in_a_graph():
    facts = rings()
    rows = torch.nonzero(facts.relation == 1).squeeze(1)
    hidden = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:24]]
    mask = torch.ones(len(facts), dtype=torch.bool)
    mask[hidden] = False
    graph, valid = facts.take(mask), facts.take(hidden)
    model = small_model()
    before = evaluate_links(model, graph, valid, []).mrr
    seen = []
    targets = torch.nonzero(graph.relation == 1).squeeze(1)
    settings = TrainingSettings(steps=150, batch=16, negatives=16, every=50, rate=5e-3)
    best = train(model, graph, targets, lambda m: evaluate_links(m, graph, valid, []).mrr, settings, report=seen.append)
    after = evaluate_links(model, graph, valid, []).mrr
    assert after == pytest.approx(best)
    assert after > max(0.9, before + 0.2)
    assert [progress.step for progress in seen] == [50, 100, 150]
    assert seen[-1].loss < seen[0].loss


class CutOffError(Exception):
    pass


def test_a_training_that_was_cut_off_goes_on_as_if_it_had_not_been(tmp_path):
    facts = random_triples()
    mrr = iter((0.1, 0.3, 0.2, 0.25))
    whole = small_model()
    train(whole, facts, torch.arange(len(facts)), lambda _: next(mrr), SMALL)

    checkpoint = tmp_path / "training.safetensors"
    cut = small_model()

    def cut_off(progress):
        if progress.step == 4:
            raise CutOffError

    mrr = iter((0.1, 0.3, 0.2))
    with pytest.raises(CutOffError):
        train(cut, facts, torch.arange(len(facts)), lambda _: next(mrr), SMALL, checkpoint=checkpoint, report=cut_off)
    resumed, seen = small_model(), []
    mrr = iter((0.1, 0.2, 0.25))
    best = train(
        resumed, facts, torch.arange(len(facts)), lambda _: next(mrr), SMALL, checkpoint=checkpoint, report=seen.append
    )
    assert [progress.step for progress in seen] == [4, 6]
    assert best == 0.3
    assert not checkpoint.exists()
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], tensor)


def test_training_ends_when_nothing_gets_better():
    mrr = iter((0.5, *[0.4] * 10))
    seen = []
    settings = TrainingSettings(steps=100, batch=2, negatives=4, every=1, patience=2)
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    facts = random_triples()
    assert train(model, facts, torch.arange(len(facts)), lambda _: next(mrr), settings, report=seen.append) == 0.5
    assert len(seen) == 3
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


def test_there_must_be_something_to_ask_for():
    with pytest.raises(ValueError, match="no facts to train on"):
        train(small_model(), random_triples(), torch.empty(0, dtype=torch.int64), lambda _: 0.0, SMALL)


def _one_of_two(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    model = small_model()
    facts = random_triples()
    mrr = iter((0.1, 0.2, 0.3, 0.4))
    checkpoint = folder / "training.safetensors"
    train(model, facts, torch.arange(len(facts)), lambda _: next(mrr), SMALL, checkpoint=checkpoint)
    torch.save(model.state_dict(), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_two_processes_train_one_model(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_one_of_two, (port, tmp_path), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    alone = small_model()
    facts = random_triples()
    mrr = iter((0.1, 0.2, 0.3, 0.4))
    train(alone, facts, torch.arange(len(facts)), lambda _: next(mrr), SMALL)
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor)
    assert any(not torch.equal(first[name], tensor) for name, tensor in alone.state_dict().items())


def test_torchrun_trains_by_the_command_line(tmp_path):
    rows = "".join(f"n{at}\tnext\tn{at + 1}\n" for at in range(12))
    (tmp_path / "graph.txt").write_text(rows)
    (tmp_path / "valid.txt").write_text("n3\tnext\tn0\n")
    scripts = Path(sys.executable).parent
    options = ["--steps", "2", "--every", "1", "--batch", "2", "--negatives", "2", "--out", str(tmp_path / "out")]
    files = ["--graph", str(tmp_path / "graph.txt"), "--valid", str(tmp_path / "valid.txt")]
    command = [scripts / "torchrun", "--nproc-per-node", "2", "--no-python", scripts / "evigraph", "train", "links"]
    subprocess.run([*map(str, command), *files, *options, "--json"], check=True, capture_output=True, timeout=900)
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["data"]["facts"] == 12
    assert load_predictor(tmp_path / "out" / "weights.safetensors")
