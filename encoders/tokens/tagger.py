"""A trained tagger: words to tags, text to entities, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import orjson
import torch

from encoders.tokens.conll import Sentence, spans
from encoders.tokens.model import TaggerModel
from encoders.tokens.windows import CutSentence, Window, batch_of, cut, windows_of
from encoders.weights import best_device, load_weights, save_weights
from kg.errors import InputError

_WEIGHTS, _CARD, _BACKBONE = "model.safetensors", "card.json", "backbone"


@dataclass(frozen=True, slots=True)
class NamedEntity:
    """A named entity of a text.

    Attributes:
        start, end: characters of the text, end excluded.
        words: as the text has them.
        kind: its type, such as `PER`.
        confidence: mean probability of its words' tags.
    """

    start: int
    end: int
    words: str
    kind: str
    confidence: float


class TokenTagger:
    """Tags words.

    Args:
        model: the network.
        tokenizer: of its transformer, a fast one.
        card: JSON on how it was trained; has `tags`, `bio`, `window`, `context` and `language`.
    """

    def __init__(self, model: TaggerModel, tokenizer: Any, card: Mapping[str, Any]) -> None:  # noqa: ANN401
        self.model, self.tokenizer, self.card = model, tokenizer, dict(card)
        self.tags: list[str] = list(card["tags"])
        self.name = f"tokens@{card.get('id', 'unnamed')}"

    def tag(self, sentences: Sequence[Sentence], batch: int = 8) -> list[tuple[str, ...]]:
        """The tags of each sentence's words.

        Args:
            sentences: of one text, or of several, in their order: what stands around a sentence is read too.
            batch: windows read at once.
        """
        found: list[tuple[str, ...]] = [()] * len(sentences)
        for at, tags, _ in self._tagged([sentences], batch):
            found[at] = tuple(self.tags[tag] for tag in tags)
        return found

    def encode(self, texts: Sequence[str], batch: int = 8) -> list[list[NamedEntity]]:
        """The entities of each text, in its order; what stands around a sentence is read too.

        Args:
            texts: as they are written.
            batch: windows read at once.
        """
        found: list[list[NamedEntity]] = [[] for _ in texts]
        split: list[list[Sentence]] = []
        places: list[tuple[int, list[tuple[int, int]]]] = []  # of all texts' sentences: the text, and its words
        for number, text in enumerate(texts):
            words = [[(token.idx, token.idx + len(token)) for token in one if not token.is_space]
                     for one in self._splitter(text).sents]  # fmt: skip
            split.append([Sentence(tuple(text[start:end] for start, end in one)) for one in words if one])
            places += [(number, one) for one in words if one]
        for at, tags, sure in sorted(self._tagged(split, batch)):
            number, word_places = places[at]
            for first, behind, kind in spans([self.tags[tag] for tag in tags]):
                start, end = word_places[first][0], word_places[behind - 1][1]
                confidence = sum(sure[first:behind]) / (behind - first)
                found[number].append(NamedEntity(start, end, texts[number][start:end], kind, round(confidence, 4)))
        return found

    def _tagged(self, texts: Sequence[Sequence[Sentence]], batch: int) -> Iterator[tuple[int, list[int], list[float]]]:
        """Number among all, tags and their probabilities of each sentence; windows of like length are read together."""
        sentences = [one for text in texts for one in text]
        if not sentences:
            return
        longest = int(getattr(self.model.backbone.config, "max_position_embeddings", 512)) - 2
        pieces: list[CutSentence] = cut(sentences, self.tokenizer, longest=longest)
        windows: list[Window] = []
        at = 0
        for text in texts:
            windows += windows_of(pieces, self.card["window"], self.card["context"], of=range(at, at + len(text)))
            at += len(text)
        windows.sort(key=lambda window: -sum(len(pieces[at].pieces) for at in window.sentences))
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(windows), batch):
                some = batch_of(windows[start : start + batch], pieces, self.tokenizer).to(device)
                scores = self.model(some)
                best = self.model.crf.best(scores, some.lengths)
                sure = self.model.crf.marginals(scores, some.lengths).cpu()
                for row, (at, tags) in enumerate(zip(some.sentences, best, strict=True)):
                    yield at, tags, sure[row, range(len(tags)), tags].tolist()

    @cached_property
    def _splitter(self) -> Any:  # noqa: ANN401 (a pipeline of spaCy)
        language = check_language(str(self.card["language"]))
        language.add_pipe("sentencizer", config={"punct_chars": [*".!?。！？\n"]})
        language.max_length = 10_000_000
        return language

    def save(self, folder: Path) -> None:
        """Writes the weights as safetensors, the transformer's settings, its tokenizer, and, last, a JSON card."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _CARD).unlink(missing_ok=True)
        self.model.backbone.config.save_pretrained(folder / _BACKBONE)
        self.tokenizer.save_pretrained(folder / _BACKBONE)
        save_weights(self.model, folder / _WEIGHTS)
        (folder / _CARD).write_bytes(orjson.dumps(self.card, option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From a folder, ready to tag, on the best device.

        Raises:
            InputError: it holds no tagger, or a damaged one; names the file.
        """
        from transformers import AutoConfig, AutoModel, AutoTokenizer

        try:
            card = orjson.loads((folder / _CARD).read_bytes())
            tags, bio = list(map(str, card["tags"])), bool(card["bio"])
            config = AutoConfig.from_pretrained(folder / _BACKBONE, local_files_only=True)
            auto: Any = AutoTokenizer
            tokenizer = auto.from_pretrained(folder / _BACKBONE, local_files_only=True)
            backbone = AutoModel.from_config(config)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"no tagger: {error}", str(folder)) from error
        model = TaggerModel(backbone, config.hidden_size, tags, bio=bio)
        load_weights(model, folder / _WEIGHTS)
        return cls(model.to(best_device()).eval(), tokenizer, card)


def check_language(code: str, place: str = "language") -> Any:  # noqa: ANN401 (a pipeline of spaCy)
    """What splits texts of a language into words.

    Args:
        code: of the language.
        place: what the error names.

    Raises:
        InputError: spaCy has no such language.
    """
    import spacy

    try:
        return spacy.blank(code)
    except (ImportError, ValueError) as error:
        raise InputError(f"spaCy knows no language {code!r}", place) from error
