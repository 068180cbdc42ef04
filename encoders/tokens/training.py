"""Training of a tagger on tagged sentences: in full, by LoRA, or its head alone."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from encoders.backbone import load_backbone
from encoders.checkpoint import Checkpoint, Standing, fingerprint
from encoders.progress import Progress, quiet
from encoders.schedule import warmed
from encoders.tokens.conll import Sentence, tags_of
from encoders.tokens.crf import may_follow
from encoders.tokens.evaluation import tag_report
from encoders.tokens.model import TaggerModel
from encoders.tokens.tagger import TokenTagger
from encoders.tokens.windows import WindowBatch, batch_of, cut, windows_of
from encoders.weights import best_device
from kg.errors import InputError

Method = Literal["full", "lora", "head"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, slots=True)
class TaggerSettings:
    """How to train.

    Attributes:
        method: `full` trains all weights, `lora` low-rank changes of the transformer's layers (Hu et al. 2021,
            arXiv:2106.09685), `head` only what stands on the transformer.
        epochs: passes over all sentences, at most.
        patience: epochs without a better F1 of entities on the validation sentences after which to stop.
        batch: windows of a step.
        window: word pieces of a window.
        context: word pieces read before and after the sentences of a window when tagging.
        rate: greatest learning rate of the transformer's weights, of AdamW, warmed up and decayed linearly.
        head_rate: that of all other weights.
        decay: of the weights.
        dropout: before the layers on top.
        masked: share of word pieces that are hidden in training, so that a word is told by what stands around it.
        rank: of LoRA's changes.
        language: of the texts, a code of spaCy's; for how texts are split into words.
        seed: of all that is drawn.
    """

    method: Method = "full"
    epochs: int = 12
    patience: int = 4
    batch: int = 8
    window: int = 192
    context: int = 48
    rate: float = 2e-4
    head_rate: float = 2e-3
    decay: float = 1e-2
    dropout: float = 0.2
    masked: float = 0.0
    rank: int = 16
    language: str = "en"
    seed: int = 0


def train_tagger(
    sentences: Sequence[Sentence],
    valid: Sequence[Sentence],
    backbone: str,
    settings: TaggerSettings,
    progress: Progress = quiet,
    checkpoint: Path | None = None,
) -> TokenTagger:
    """A tagger for the tags of the sentences.

    Args:
        sentences: to learn from, in the order of their texts.
        valid: to tell when to stop.
        backbone: a folder, or a hub's name, of a transformer of `transformers` with a fast tokenizer.
        settings: how.
        progress: told as it goes.
        checkpoint: folder for the state after each epoch, from which a training that was stopped goes on.

    Raises:
        InputError: there is no such transformer, or its tokenizer can't tell which piece is of which word.
    """
    torch.manual_seed(settings.seed)
    tags = tags_of(sentences)
    bio = all(may_follow(*pair) for one in sentences for pair in zip(("", *one.tags), one.tags, strict=False))
    network, tokenizer = load_backbone(backbone, of_words=True)
    if not tokenizer.is_fast:
        raise InputError("has no fast tokenizer, which tells the pieces of a word", backbone)
    model = TaggerModel(network, network.config.hidden_size, tags, bio=bio, dropout=settings.dropout)
    _choose(model, settings)
    device = best_device()
    model.to(device)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    card: dict[str, Any] = asdict(settings) | {
        "task": "tokens", "tags": tags, "bio": bio, "backbone": backbone, "sentences": len(sentences),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "trained": sum(weight.numel() for weight in trained),
    }  # fmt: skip
    made_of = fingerprint(asdict(settings) | {"backbone": backbone}, sentences, valid)
    tagger = TokenTagger(model, tokenizer, card | {"id": made_of[:8]})
    pieces = cut(sentences, tokenizer, tags, longest=settings.window - 2)
    per_epoch = math.ceil(len(windows_of(pieces, settings.window, 0)) / settings.batch)
    optimiser = _optimiser(model, settings)
    draw = torch.Generator().manual_seed(settings.seed)
    kept = Checkpoint(checkpoint, made_of) if checkpoint is not None else None
    now = kept.load(model, optimiser, draw) if kept is not None else Standing()
    started = time.perf_counter() - (now.history[-1]["seconds"] if now.history else 0.0)
    while now.epochs < settings.epochs and now.epochs - now.best_epoch <= settings.patience:
        skip = int(torch.randint(settings.window // 2, (1,), generator=draw))
        windows = windows_of(pieces, settings.window, 0, skip)
        order = torch.randperm(len(windows), generator=draw).split(settings.batch)
        model.train()
        for number, some in enumerate(order):
            share = (now.epochs + number / len(order)) / settings.epochs
            progress("Training", now.epochs * len(order) + number, settings.epochs * len(order))
            for group in optimiser.param_groups:
                group["lr"] = group["greatest"] * warmed(share, 1 / (per_epoch * settings.epochs))
            batch = batch_of([windows[at] for at in some.tolist()], pieces, tokenizer)
            if settings.masked:
                hide(batch, settings.masked, tokenizer, draw)
            batch = batch.to(device)
            loss = model.loss(batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
        model.eval()
        report = tag_report([one.tags for one in valid], tagger.tag(valid))
        now.history.append({"epoch": now.epochs + 1, "span_f1": report["span_f1"], "micro": report["micro"]["f1"],
                            "macro": report["macro"]["f1"], "seconds": time.perf_counter() - started})  # fmt: skip
        if report["span_f1"] > now.best:
            now.best, now.best_epoch = report["span_f1"], now.epochs
            now.best_weights = copy.deepcopy(model.state_dict())
        now.epochs += 1
        if kept is not None:
            kept.save(now, model, optimiser, draw)
    model.load_state_dict(now.best_weights)
    if settings.method == "lora":
        model.backbone = model.backbone.merge_and_unload()
    tagger.card |= {"epochs_run": now.epochs, "best_epoch": now.best_epoch + 1, "history": now.history}
    model.eval()
    if kept is not None:
        kept.remove()
    return tagger


def hide(batch: WindowBatch, share: float, tokenizer: Any, draw: torch.Generator) -> None:  # noqa: ANN401
    """Puts the tokenizer's mask in the place of a share of a batch's pieces; marks between sentences stay."""
    hidden = torch.rand(batch.pieces.shape, generator=draw) < share
    for mark in tokenizer.all_special_ids:
        hidden &= batch.pieces != mark
    batch.pieces[hidden] = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.unk_token_id


def _choose(model: TaggerModel, settings: TaggerSettings) -> None:
    """Which weights are to be trained."""
    if settings.method == "full":
        return
    model.backbone.requires_grad_(requires_grad=False)
    if settings.method == "head":
        model.piece_shape.requires_grad_(requires_grad=False)
        return
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, lora_dropout=0.05, target_modules="all-linear")
    model.backbone = get_peft_model(model.backbone, config)


def _optimiser(model: TaggerModel, settings: TaggerSettings) -> torch.optim.Optimizer:
    """AdamW with two rates; `greatest` of a group is that from which it is warmed up and decayed."""
    inner = {id(weight) for weight in model.backbone.parameters()}
    groups = [
        {"params": [w for w in model.parameters() if w.requires_grad and (id(w) in inner) == own], "greatest": rate}
        for own, rate in ((True, settings.rate), (False, settings.head_rate))
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], weight_decay=settings.decay)
