"""A linear-chain conditional random field (Lafferty et al. 2001) over the tags of sentences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_NEVER = -1e4


class Crf(nn.Module):
    """Scores of tags that follow one another, of the start, which has the number `tags`, and of the end, one more."""

    def __init__(self, tags: Sequence[str], *, bio: bool = True) -> None:
        """Begins with all that may follow one another alike.

        Args:
            tags: their names.
            bio: forbid what the scheme BIO does: an `I-X` that follows neither `B-X` nor `I-X`.
        """
        super().__init__()
        self.tags = len(tags)
        self.transitions = nn.Parameter(torch.zeros(self.tags + 2, self.tags + 2))
        names = (*tags, "", "")
        never = torch.tensor([[bio and not may_follow(before, after) for after in names] for before in names])
        self.register_buffer("forbidden", never * _NEVER, persistent=False)

    def loss(self, scores: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """(sentences,): negative log-likelihood of the tags.

        Args:
            scores: (sentences, words, tags), of each tag at each word.
            tags: (sentences, words), what is right; beyond a sentence's end anything.
            lengths: (sentences,), words of each; at least 1.
        """
        step = self._steps()
        within = torch.arange(scores.shape[1], device=scores.device) < lengths[:, None]
        gold = (scores.gather(2, tags[..., None])[..., 0] * within).sum(1)
        gold = gold + (step[tags[:, :-1], tags[:, 1:]] * within[:, 1:]).sum(1) + step[self.tags, tags[:, 0]]
        gold = gold + step[tags.gather(1, lengths[:, None] - 1)[:, 0], self.tags + 1]
        inner = step[: self.tags, : self.tags]
        total = step[self.tags, : self.tags] + scores[:, 0]
        for at in range(1, scores.shape[1]):
            ahead = torch.logsumexp(total[:, :, None] + inner, 1) + scores[:, at]
            total = torch.where(within[:, at, None], ahead, total)
        return torch.logsumexp(total + step[: self.tags, self.tags + 1], 1) - gold

    @torch.no_grad()
    def best(self, scores: Tensor, lengths: Tensor) -> list[list[int]]:
        """The likeliest tags of each sentence (Viterbi 1967); arguments as in `loss`."""
        step = self._steps()
        inner = step[: self.tags, : self.tags]
        total = step[self.tags, : self.tags] + scores[:, 0]
        came: list[Tensor] = []
        for at in range(1, scores.shape[1]):
            ahead, before = (total[:, :, None] + inner).max(1)
            goes_on = (at < lengths)[:, None]
            came.append(torch.where(goes_on, before, torch.arange(self.tags, device=scores.device)))
            total = torch.where(goes_on, ahead + scores[:, at], total)
        last = (total + step[: self.tags, self.tags + 1]).argmax(1)
        path = [last]
        for before in reversed(came):
            path.append(before.gather(1, path[-1][:, None])[:, 0])
        rows = torch.stack(path[::-1], 1).tolist()
        return [row[:length] for row, length in zip(rows, lengths.tolist(), strict=True)]

    @torch.no_grad()
    def marginals(self, scores: Tensor, lengths: Tensor) -> Tensor:
        """(sentences, words, tags): probability of each tag at each word (forward-backward); arguments as in `loss`."""
        step = self._steps()
        inner, words = step[: self.tags, : self.tags], scores.shape[1]
        forward = [step[self.tags, : self.tags] + scores[:, 0]]
        for at in range(1, words):
            ahead = torch.logsumexp(forward[-1][:, :, None] + inner, 1) + scores[:, at]
            forward.append(torch.where((at < lengths)[:, None], ahead, forward[-1]))
        end = step[: self.tags, self.tags + 1].expand(len(scores), -1)
        backward = [end]
        for at in range(words - 1, 0, -1):
            behind = torch.logsumexp(inner + (scores[:, at] + backward[-1])[:, None, :], 2)
            backward.append(torch.where((at < lengths)[:, None], behind, end))
        return torch.softmax(torch.stack(forward, 1) + torch.stack(backward[::-1], 1), 2)

    def _steps(self) -> Tensor:
        forbidden = self.get_buffer("forbidden")
        return self.transitions + forbidden


def may_follow(before: str, after: str) -> bool:
    """Whether the scheme BIO allows a tag after another; what is empty is the start or the end."""
    prefix, _, kind = after.rpartition("-")
    return prefix != "I" or before in (f"B-{kind}", f"I-{kind}")
