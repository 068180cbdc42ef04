"""Which rules fire on what a scene shows, and what holds when they disagree.

A rule fires with the belief `strength × ∏ belief(when) × ∏ (1 − belief(unless))`, as in probabilistic logic programs
with independent facts (De Raedt et al. 2007, ProbLog). In one matter (safety, right of way, direction) authorities are
heard from the highest to the lowest: what one leaves open, the next decides; at equal rank the stricter holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod

from reasoning.traffic.rules import Rule, RuleBook


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fired.

    Attributes:
        belief: 0…1.
    """

    rule: Rule
    belief: float


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two rules that say opposite things of one manoeuvre.

    Attributes:
        manoeuvre: its id.
        prevails, yields: ids of the rules.
        because: what settled it, in words.
    """

    manoeuvre: str
    prevails: str
    yields: str
    because: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What the rules say of one manoeuvre.

    Attributes:
        manoeuvre: its id.
        required, allowed, forbidden: beliefs; allowed and forbidden add up to 1 at most, the rest is open.
        firings: what speaks of it, the strongest first.
    """

    manoeuvre: str
    required: float
    allowed: float
    forbidden: float
    firings: list[Firing]


def fire(rules: Iterable[Rule], beliefs: Mapping[str, float]) -> list[Firing]:
    """The rules all of whose conditions have some evidence, the strongest first.

    Args:
        rules: that may fire.
        beliefs: id of a concept or sign → 0…1, general concepts included.
    """
    fired = []
    for rule in rules:
        if all(name in beliefs for name in rule.when):
            belief = rule.strength * prod(beliefs[name] for name in rule.when)
            belief *= prod(1.0 - beliefs.get(name, 0.0) for name in rule.unless)
            if belief > 0.0:
                fired.append(Firing(rule, belief))
    return sorted(fired, key=lambda firing: (-firing.belief, firing.rule.id))


def settle(book: RuleBook, firings: Sequence[Firing]) -> tuple[list[Settled], list[Conflict]]:
    """What holds of every manoeuvre that some rule speaks of, and the conflicts on the way there."""
    settled, conflicts = [], []
    for manoeuvre in book.manoeuvres:
        spoken = [firing for firing in firings if _speaks(book, firing.rule, manoeuvre)]
        if not spoken:
            continue
        parts: dict[str, list[tuple[float, set[str]]]] = {"required": [], "forbidden": [], "permitted": []}
        for matter in book.matters:
            inside = [firing for firing in spoken if matter in firing.rule.matters]
            rules = {firing.rule.id for firing in inside}
            against, with_ = _one_matter(book, inside, manoeuvre)
            parts["forbidden"].append((against, rules))
            parts["permitted"].append((with_, rules))
            parts["required"].append((_required(book, firings, matter, manoeuvre), rules))
        required, forbidden, permitted = (_across(of) for of in parts.values())
        settled.append(Settled(manoeuvre, required, (1.0 - forbidden) * permitted, forbidden, spoken))
        if not book.manoeuvres[manoeuvre].broader:
            conflicts += _conflicts(book, spoken, manoeuvre)
    return settled, conflicts


def _one_matter(book: RuleBook, firings: Sequence[Firing], manoeuvre: str) -> tuple[float, float]:
    """Beliefs that the manoeuvre is forbidden and permitted in a matter."""
    forbidden, permitted, open_ = 0.0, 0.0, 1.0
    for level in _levels(firings):
        against = _any(firing for firing in level if _forbids(book, firing.rule, manoeuvre))
        with_ = _any(firing for firing in level if _permits(book, firing.rule, manoeuvre))
        forbidden += open_ * against
        permitted += open_ * (1.0 - against) * with_
        open_ *= (1.0 - against) * (1.0 - with_)
    return forbidden, permitted


def _required(book: RuleBook, firings: Sequence[Firing], matter: str, manoeuvre: str) -> float:
    """Belief that the manoeuvre has to be done: what releases from it, of higher rank, goes before."""
    required, open_ = 0.0, 1.0
    release = book.releases.get(manoeuvre)
    for level in _levels([firing for firing in firings if matter in firing.rule.matters]):
        duty = _any(firing for firing in level if _requires(book, firing.rule, manoeuvre))
        freed = _any(firing for firing in level if release and _permits(book, firing.rule, release))
        required += open_ * duty
        open_ *= (1.0 - duty) * (1.0 - freed)
    return required


def _conflicts(book: RuleBook, firings: Sequence[Firing], manoeuvre: str) -> list[Conflict]:
    found = []
    for one in firings:
        for other in firings:
            shared = set(one.rule.matters) & set(other.rule.matters)
            if shared and _forbids(book, one.rule, manoeuvre) and _permits(book, other.rule, manoeuvre):
                first, second = (one, other) if one.rule.rank >= other.rule.rank else (other, one)
                if one.rule.rank == other.rule.rank:
                    because = "both have the same rank: the stricter holds"
                else:
                    above, below = (book.authorities[firing.rule.authority].name for firing in (first, second))
                    because = f"{above} goes before {below}"
                found.append(Conflict(manoeuvre, first.rule.id, second.rule.id, because))
    return found


def _levels(firings: Sequence[Firing]) -> list[list[Firing]]:
    """Firings by rank, the highest first."""
    ordered = sorted(firings, key=lambda firing: -firing.rule.rank)
    return [list(level) for _, level in groupby(ordered, key=lambda firing: firing.rule.rank)]


def _speaks(book: RuleBook, rule: Rule, manoeuvre: str) -> bool:
    return _forbids(book, rule, manoeuvre) or _permits(book, rule, manoeuvre) or _requires(book, rule, manoeuvre)


def _forbids(book: RuleBook, rule: Rule, manoeuvre: str) -> bool:
    general = book.general[manoeuvre]
    excluded = [book.contraries[name] for name in rule.requires if name in book.contraries]
    return any(name in general for name in (*rule.forbids, *excluded))


def _permits(book: RuleBook, rule: Rule, manoeuvre: str) -> bool:
    return any(name in book.general[manoeuvre] for name in rule.permits)


def _requires(book: RuleBook, rule: Rule, manoeuvre: str) -> bool:
    """Whether a rule bids to do this or, where several ways are open, something narrower."""
    return any(manoeuvre in book.general[name] for name in rule.requires)


def _any(firings: Iterable[Firing]) -> float:
    """Belief that at least one of independent firings holds."""
    return 1.0 - prod(1.0 - firing.belief for firing in firings)


def _across(parts: Sequence[tuple[float, set[str]]]) -> float:
    """Belief that it holds in some matter; matters that share a rule aren't independent, the surest of them counts."""
    groups: list[tuple[float, set[str]]] = []
    for belief, rules in parts:
        shared = [group for group in groups if group[1] & rules]
        groups = [group for group in groups if not group[1] & rules]
        groups.append((max([belief, *(group[0] for group in shared)]), rules.union(*(group[1] for group in shared))))
    return 1.0 - prod(1.0 - belief for belief, _ in groups)
