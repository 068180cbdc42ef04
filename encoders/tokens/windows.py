"""Sentences with what stands around them, as a transformer reads them: windows of word pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from encoders.tokens.conll import Sentence
from encoders.tokens.spelling import characters_of, shape_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True, slots=True)
class CutSentence:
    """A sentence in word pieces.

    Attributes:
        pieces: their numbers.
        word_of: for each piece, which word it is of.
        shapes, characters: (words,) and (words, characters), see `encoders.tokens.spelling`.
        tags: numbers of the tags; empty where they are not known.
    """

    pieces: list[int]
    word_of: list[int]
    shapes: list[int]
    characters: Tensor
    tags: list[int]

    @property
    def words(self) -> int:
        """How many."""
        return len(self.shapes)


@dataclass(frozen=True, slots=True)
class Window:
    """Sentences of a text that are read at once.

    Attributes:
        sentences: numbers of all of them.
        asked: which of them are to be tagged; the others are context.
    """

    sentences: range
    asked: range


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """Windows as tensors; the words of all sentences that are asked for stand one after another.

    Attributes:
        pieces, piece_shapes: int64 (windows, pieces), padded.
        attended: int64 (windows, pieces), 1 where there is a piece.
        first, last: int64 (words,), where a word's first and last piece stand among all windows' pieces.
        shapes: int64 (words,).
        characters: int64 (words, characters).
        lengths: int64 (sentences,), words of each sentence that is asked for.
        tags: int64 (words,), -1 where not known.
        sentences: their numbers.
    """

    pieces: Tensor
    piece_shapes: Tensor
    attended: Tensor
    first: Tensor
    last: Tensor
    shapes: Tensor
    characters: Tensor
    lengths: Tensor
    tags: Tensor
    sentences: list[int]

    def to(self, device: torch.device) -> WindowBatch:
        """The same there."""
        return WindowBatch(
            *(value.to(device) if isinstance(value, Tensor) else value for value in self._values())  # type: ignore[arg-type]
        )

    def _values(self) -> list[object]:
        return [getattr(self, name) for name in self.__slots__]


def cut(
    sentences: Sequence[Sentence], tokenizer: PreTrainedTokenizerFast, tags: Sequence[str] = (), *, longest: int = 510
) -> list[CutSentence]:
    """Sentences in word pieces.

    Args:
        sentences: words, and tags where they are known.
        tokenizer: of the transformer.
        tags: all tags, in the order of their numbers.
        longest: pieces of a sentence that are read; words beyond them have none.
    """
    number = {tag: at for at, tag in enumerate(tags)}
    encoded = tokenizer([list(one.words) for one in sentences], is_split_into_words=True, add_special_tokens=False)
    found = []
    for at, sentence in enumerate(sentences):
        words = [word for word in encoded.word_ids(at) if word is not None][:longest]
        found.append(
            CutSentence(
                list(encoded.input_ids[at])[:longest],
                words,
                [shape_of(word) for word in sentence.words],
                torch.from_numpy(np.stack([characters_of(word) for word in sentence.words])),
                [number[tag] for tag in sentence.tags] if tags else [],
            )
        )
    return found


def windows_of(
    sentences: Sequence[CutSentence], size: int, context: int, skip: int = 0, of: range | None = None
) -> list[Window]:
    """Windows that together ask for each sentence once.

    Args:
        sentences: of one text, or of several.
        size: pieces of a window, marks between sentences included; a longer sentence has a window of its own.
        context: pieces before and after those asked for that are read too, if there is room.
        skip: pieces that the first window is smaller, so that windows can be moved between epochs.
        of: numbers of the sentences that are read, for one text of several; none: all.
    """
    lengths = [len(one.pieces) + 1 for one in sentences]
    found = []
    begin, stop = (of.start, of.stop) if of is not None else (0, len(sentences))
    start, room = begin, max(size - skip - 1 - 2 * context, 1)
    while start < stop:
        end, used = start + 1, lengths[start]
        while end < stop and used + lengths[end] <= room:
            used += lengths[end]
            end += 1
        spare = max(size - 1 - used, 0)
        low, before = start, 0
        while low > begin and before + lengths[low - 1] <= min(context, spare):
            low -= 1
            before += lengths[low]
        high, after = end, 0
        while high < stop and after + lengths[high] <= min(context, spare - before):
            after += lengths[high]
            high += 1
        found.append(Window(range(low, high), range(start, end)))
        start, room = end, size - 1 - 2 * context
    return found


def batch_of(
    windows: Sequence[Window], sentences: Sequence[CutSentence], tokenizer: PreTrainedTokenizerFast
) -> WindowBatch:
    """Windows as tensors: a mark, and each sentence with a mark behind it.

    Args:
        windows: at least one.
        sentences: those of which the windows are.
        tokenizer: of the transformer, for its marks.
    """
    begin = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    end = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    width = max(1 + sum(len(sentences[at].pieces) + 1 for at in window.sentences) for window in windows)
    pieces = torch.full((len(windows), width), tokenizer.pad_token_id or 0)
    piece_shapes = torch.zeros((len(windows), width), dtype=torch.int64)
    attended = torch.zeros((len(windows), width), dtype=torch.int64)
    first: list[int] = []
    last: list[int] = []
    asked: list[int] = []
    for row, window in enumerate(windows):
        at = 1
        pieces[row, 0] = begin or 0
        for number in window.sentences:
            sentence = sentences[number]
            here = slice(at, at + len(sentence.pieces))
            pieces[row, here] = torch.tensor(sentence.pieces, dtype=torch.int64)
            piece_shapes[row, here] = torch.tensor([sentence.shapes[word] for word in sentence.word_of])
            pieces[row, here.stop] = end or 0
            if number in window.asked:
                asked.append(number)
                mark = row * width + here.stop
                starts, ends = [mark] * sentence.words, [mark] * sentence.words
                for offset, word in enumerate(sentence.word_of):
                    ends[word] = row * width + at + offset
                    starts[word] = min(starts[word], ends[word])
                first += starts
                last += ends
            at = here.stop + 1
        attended[row, :at] = 1
    chosen = [sentences[number] for number in asked]
    return WindowBatch(
        pieces,
        piece_shapes,
        attended,
        torch.tensor(first),
        torch.tensor(last),
        torch.tensor([shape for one in chosen for shape in one.shapes]),
        torch.cat([one.characters for one in chosen]),
        torch.tensor([one.words for one in chosen]),
        torch.tensor([tag for one in chosen for tag in (one.tags or [-1] * one.words)]),
        asked,
    )
