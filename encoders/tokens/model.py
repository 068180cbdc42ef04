"""The network of a tagger: a transformer that also sees capitals, the spelling of each word, and a CRF on top.

A word's vector is that of its first word piece and that of its last, each a weighted mean over the transformer's layers
(Peters et al. 2018, arXiv:1802.05365), with an embedding of how it is written and a convolution over its characters
(Ma and Hovy 2016, arXiv:1603.01354). What is added to it comes from a recurrent layer over the sentence (ibid.).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from encoders.tokens.crf import Crf
from encoders.tokens.spelling import CHARACTERS, SHAPES
from encoders.tokens.windows import WindowBatch

_SHAPE = 16
_CHARACTER = 24
_FILTERS = 64


class TaggerModel(nn.Module):
    """Scores tags of words.

    Attributes:
        backbone: the transformer.
    """

    def __init__(self, backbone: Any, width: int, tags: list[str], *, bio: bool, dropout: float = 0.2) -> None:  # noqa: ANN401
        """Puts what is to be trained on a transformer.

        Args:
            backbone: a transformer of `transformers`, without head.
            width: of its vectors.
            tags: their names.
            bio: see `Crf`.
            dropout: before the layers on top.
        """
        super().__init__()
        self.backbone = backbone
        self.piece_shape = nn.Embedding(SHAPES, width)
        nn.init.zeros_(self.piece_shape.weight)  # so that the transformer begins as it was
        self.shape = nn.Embedding(SHAPES, _SHAPE)
        self.character = nn.Embedding(CHARACTERS, _CHARACTER, padding_idx=0)
        self.spelling = nn.Conv1d(_CHARACTER, _FILTERS, kernel_size=3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(2 * width + _SHAPE + _FILTERS, width)
        self.layers = nn.Parameter(torch.linspace(-2, 1, backbone.config.num_hidden_layers))
        self.sentence = nn.LSTM(width, width // 2, batch_first=True, bidirectional=True)
        self.scores = nn.Linear(width, len(tags))
        self.crf = Crf(tags, bio=bio)

    def forward(self, batch: WindowBatch) -> Tensor:
        """(sentences, words, tags): scores, padded."""
        read = self.backbone.get_input_embeddings()(batch.pieces) + self.piece_shape(batch.piece_shapes)
        states = self.backbone(
            inputs_embeds=read, attention_mask=batch.attended, output_hidden_states=True
        ).hidden_states
        shares = self.layers.softmax(0)
        vectors = torch.stack([share * state for share, state in zip(shares, states[1:], strict=True)]).sum(0)
        vectors = vectors.flatten(0, 1)
        letters = torch.relu(self.spelling(self.character(batch.characters).transpose(1, 2))).amax(2)
        words = torch.cat([vectors[batch.first], vectors[batch.last], self.shape(batch.shapes), letters], 1)
        alone = torch.nn.functional.gelu(self.hidden(self.dropout(words)))
        padded = pad_sequence(list(alone.split(batch.lengths.tolist())), batch_first=True)
        packed = pack_padded_sequence(padded, batch.lengths.cpu(), batch_first=True, enforce_sorted=False)
        around, _ = pad_packed_sequence(self.sentence(packed)[0], batch_first=True)
        scores: Tensor = self.scores(self.dropout(padded + around))
        return scores

    def loss(self, batch: WindowBatch) -> Tensor:
        """Mean negative log-likelihood of a word's tag in the batch."""
        tags = pad_sequence(list(batch.tags.split(batch.lengths.tolist())), batch_first=True)
        return self.crf.loss(self(batch), tags, batch.lengths).sum() / batch.lengths.sum()
