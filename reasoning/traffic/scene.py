"""What a driver may do in a scene and why: evidence → concept or sign → rule → effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reasoning.traffic.firing import Conflict, Firing, Settled, fire, settle
from reasoning.traffic.rules import Rule, RuleBook

SURE = 0.5
"""From this belief on, something counts as said."""
_SAFE = 0.2
"""Nothing is allowed from this belief on that it is forbidden."""
_ABSTAINS = "nothing that was seen is what a rule asks for: no instruction is given on no evidence"
_UNSURE = "what was seen is too uncertain for an instruction"


@dataclass(frozen=True, slots=True)
class SceneEvidence:
    """Where it is seen that a scene shows something.

    Attributes:
        kind: `flag`, `box`, `text in box`, `words` or `fact`.
        shown: the flag, the detector's class, the text, or the words as they stand.
        confidence: 0…1.
        box: left, top, right, bottom as parts of the picture, 0…1.
        start, end: characters of the sentence.
        source: who says so.
    """

    kind: str
    shown: str
    confidence: float = 1.0
    box: tuple[float, float, float, float] | None = None
    start: int | None = None
    end: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """A concept or sign that a scene shows.

    Attributes:
        shows: its id, such as `scene/red-light`.
        belief: 0…1.
        evidence: what it rests on.
    """

    shows: str
    belief: float
    evidence: SceneEvidence


@dataclass(frozen=True, slots=True)
class RuleApplied:
    """A rule that fired, with what it fired on.

    Attributes:
        name, wording, articles, authority: of the rule.
        belief: that it applies here.
        shows: names of the concepts or signs that it asks for.
        evidence: numbers of the evidence for these.
        effects: what it forbids, permits, requires: `requires stop`.
    """

    id: str
    name: str
    wording: str
    articles: tuple[str, ...]
    authority: str
    belief: float
    shows: list[str]
    evidence: list[int]
    effects: list[str]


@dataclass(frozen=True, slots=True)
class Manoeuvre:
    """What holds of one manoeuvre.

    Attributes:
        verdict: `required`, `allowed`, `forbidden`, or `open` where rules leave it open.
        required, allowed, forbidden: beliefs, 0…1.
        rules: ids of the rules that speak of it, the strongest first.
    """

    id: str
    name: str
    verdict: str
    required: float
    allowed: float
    forbidden: float
    rules: list[str]


@dataclass(frozen=True, slots=True)
class SpeedLimit:
    """The speed limit in force, as signs show it, or else the country's default.

    Attributes:
        kmh: km/h; None where a sign ends what was limited.
        belief: 0…1.
        sign: its id, or that of the default: `limit/DE`.
        articles: where it is laid down.
        evidence: numbers of the evidence.
        others: km/h that other signs show; the lowest that is believed holds.
    """

    kmh: float | None
    belief: float
    sign: str
    articles: tuple[str, ...]
    evidence: list[int]
    others: list[float]


@dataclass(frozen=True, slots=True)
class SceneAnswer:
    """What a driver may do, and why.

    Attributes:
        instruction: in words, each sentence with the numbers of its evidence; empty where none is given.
        abstains: why there is no instruction; empty where there is one.
        manoeuvres: of which some rule speaks; required first, then forbidden, then allowed.
        rules: all that fired, the strongest first.
        conflicts: between rules, and what settled them.
        evidence: numbered from 1, in this order.
        speed_limit: None where no sign shows one.
    """

    instruction: str
    abstains: str
    manoeuvres: list[Manoeuvre]
    rules: list[RuleApplied]
    conflicts: list[Conflict] = field(default_factory=list)
    evidence: list[SceneEvidence] = field(default_factory=list)
    speed_limit: SpeedLimit | None = None


def beliefs_of(book: RuleBook, observations: Iterable[Observation]) -> dict[str, float]:
    """Belief in each concept and sign, general ones included: that at least one observation of it is right."""
    beliefs: dict[str, float] = {}
    for seen in observations:
        for name in book.general.get(seen.shows, (seen.shows,)):
            beliefs[name] = 1.0 - (1.0 - beliefs.get(name, 0.0)) * (1.0 - seen.belief)
    return beliefs


def judge(
    book: RuleBook, observations: Sequence[Observation], more: Sequence[Rule] = (), language: str = "en"
) -> SceneAnswer:
    """Applies the rules to what a scene shows.

    Args:
        book: the rules.
        observations: what is seen; nothing seen gives no instruction.
        more: rules of the signs that are seen.
        language: of the instruction: en, or zh.
    """
    firings = fire([*book.rules, *more], beliefs_of(book, observations))
    settled, conflicts = settle(book, firings)
    numbers = {id(seen): number for number, seen in enumerate(observations, 1)}
    applied = {firing.rule.id: _applied(book, firing, observations, numbers) for firing in firings}
    manoeuvres = sorted((_manoeuvre(book, one) for one in settled), key=_order)
    instruction = _instruction(book, manoeuvres, applied, language)
    abstains = "" if instruction else _UNSURE if firings else _ABSTAINS
    return SceneAnswer(
        instruction, abstains, manoeuvres, list(applied.values()), conflicts, [seen.evidence for seen in observations]
    )


def _applied(
    book: RuleBook, firing: Firing, observations: Sequence[Observation], numbers: Mapping[int, int]
) -> RuleApplied:
    rule = firing.rule
    support = [seen for seen in observations if set(book.general.get(seen.shows, (seen.shows,))) & {*rule.when}]
    shown = dict.fromkeys(
        book.concepts[seen.shows].name if seen.shows in book.concepts else rule.name for seen in support
    )
    effects = [
        f"{kind} {book.manoeuvres[name].name}"
        for kind, names in (("requires", rule.requires), ("forbids", rule.forbids), ("permits", rule.permits))
        for name in names
    ]
    return RuleApplied(
        rule.id,
        rule.name,
        rule.wording,
        rule.articles,
        book.authorities[rule.authority].name,
        firing.belief,
        list(shown),
        [numbers[id(seen)] for seen in support],
        effects,
    )


def _manoeuvre(book: RuleBook, settled: Settled) -> Manoeuvre:
    if settled.required >= SURE:
        verdict = "required"
    elif settled.forbidden >= SURE:
        verdict = "forbidden"
    else:
        verdict = "allowed" if settled.allowed >= SURE and settled.forbidden < _SAFE else "open"
    rules = [firing.rule.id for firing in settled.firings]
    name = book.manoeuvres[settled.manoeuvre].name
    return Manoeuvre(settled.manoeuvre, name, verdict, settled.required, settled.allowed, settled.forbidden, rules)


def _order(manoeuvre: Manoeuvre) -> tuple[int, float, str]:
    ranks = ("required", "forbidden", "allowed", "open")
    belief = max(manoeuvre.required, manoeuvre.allowed, manoeuvre.forbidden)
    return ranks.index(manoeuvre.verdict), -belief, manoeuvre.id


_SENTENCES = {
    "en": {"required": "You must {what}", "forbidden": "You must not {what}", "allowed": "You may {what}", "end": "."},
    "zh": {"required": "必须{what}", "forbidden": "禁止{what}", "allowed": "可以{what}", "end": "。"},
}


def _instruction(
    book: RuleBook, manoeuvres: Sequence[Manoeuvre], applied: Mapping[str, RuleApplied], language: str
) -> str:
    """One sentence a verdict; a general manoeuvre is left out where a narrower one has the same verdict."""
    words = _SENTENCES.get(language, _SENTENCES["en"])
    verdicts = {(one.id, one.verdict) for one in manoeuvres}
    sentences = []
    for one in manoeuvres:
        narrower = [name for name in book.narrower(one.id) if name != one.id]
        if one.verdict == "required":
            shadowed = any((name, one.verdict) in verdicts for name in narrower)
        else:
            shadowed = any((name, one.verdict) in verdicts for name in book.general[one.id] if name != one.id)
        if one.verdict == "open" or shadowed:
            continue
        labels = book.manoeuvres[one.id].labels
        cited = sorted({number for rule in one.rules for number in applied[rule].evidence})
        what = words[one.verdict].format(what=labels.get(language, labels["en"]))
        sentences.append(f"{what} [{', '.join(map(str, cited))}]{words['end']}")
    return " ".join(sentences)
