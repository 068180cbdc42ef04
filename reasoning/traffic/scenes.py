"""Scenes as they come, in flags, boxes and words together → what the driver may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kg.errors import InputError
from reasoning.traffic.detections import BoxReader, DetectedBox, check_box
from reasoning.traffic.experience import SHIPPED, ConceptExperience, Experience, Weights, WordExperience
from reasoning.traffic.rules import ROADS, DefaultLimits, RuleBook, SceneConcept, load_rules
from reasoning.traffic.scene import Observation, SceneAnswer, judge
from reasoning.traffic.scene_cases import flag_observation
from reasoning.traffic.sentence import SentenceReader
from reasoning.traffic.speed_limit import limit_in_force


@dataclass(frozen=True, slots=True)
class JudgedScene:
    """The answer of the rules, and what experience adds.

    Attributes:
        answer: what the rules say.
        experience: what drivers did in scenes that show the same; empty where nothing was seen.
        in_words: what drivers did in scenes that are described in such words.
    """

    answer: SceneAnswer
    experience: list[Experience]
    in_words: list[Experience]


class SceneJudge:
    """Rules, vocabulary and experience, loaded once."""

    def __init__(self, book: RuleBook, concepts: ConceptExperience, words: WordExperience) -> None:
        self.book = book
        self.concepts = concepts
        self.words = words
        self._sentences = SentenceReader(book)
        self._boxes = BoxReader(book)

    @classmethod
    def load(cls, knowledge: Iterable[Path] = (), weights: Path | None = None) -> SceneJudge:
        """Loads what comes along, more rules from `knowledge`, and the weights of a folder instead of the shipped ones.

        Raises:
            InputError: a file holds no rules or weights.
        """
        book = load_rules(knowledge)
        paths = {kind: path if weights is None else weights / path.name for kind, path in SHIPPED.items()}
        paths = {kind: path if path.is_file() else SHIPPED[kind] for kind, path in paths.items()}
        concepts = ConceptExperience(book, Weights.load(paths["concepts"]))
        return cls(book, concepts, WordExperience(Weights.load(paths["words"])))

    def judge(
        self,
        flags: Sequence[str] = (),
        boxes: Sequence[DetectedBox] = (),
        sentence: str = "",
        language: str = "en",
        country: str = "",
        road: str = "",
    ) -> JudgedScene:
        """What a driver may do where this is seen.

        Args:
            flags: names of concepts that are known to hold, such as `road is clear`.
            boxes: what a detector saw.
            sentence: a description, English or Chinese.
            language: of the instruction: en or zh.
            country: ISO 3166 code, for the speed limit where no sign shows one.
            road: urban, rural or motorway; with the country.

        Raises:
            InputError: a flag, a box, the country or the road makes no sense; names it.
        """
        for number, box in enumerate(boxes):
            check_box(box, f"detections[{number}]")
        default = self._default(country, road)
        seen = [flag_observation(self.book, flag) for flag in flags]
        seen += self._boxes.read(boxes)
        experience = self.concepts.judge(seen)
        seen += self._sentences.read(sentence)
        answer = judge(self.book, seen, language=language)
        answer = replace(answer, speed_limit=limit_in_force(self._speeds(boxes, seen, default), default, road))
        return JudgedScene(answer, experience, self.words.judge(sentence) if sentence else [])

    def _default(self, country: str, road: str) -> DefaultLimits | None:
        if bool(country) != bool(road):
            raise InputError("a default speed limit needs both country and road", "road" if country else "country")
        if road and road not in ROADS:
            raise InputError(f"must be one of {', '.join(ROADS)}", "road")
        if country and country not in self.book.limits:
            known = ", ".join(sorted(self.book.limits))
            raise InputError(f"no speed limits are known of {country}; known: {known}", "country")
        return self.book.limits.get(country)

    def read_boxes(self, boxes: Sequence[DetectedBox]) -> list[Observation]:
        """What boxes show, before any rule."""
        return self._boxes.read(boxes)

    def _speeds(
        self, boxes: Sequence[DetectedBox], seen: Sequence[Observation], default: DefaultLimits | None
    ) -> list[tuple[SceneConcept, float, float, int]]:
        """Signs with a number, each with km/h, belief, and the number of its evidence."""
        found = []
        for box in boxes:
            shown = self._boxes.speed(box, default.unit if default else "")
            if shown is not None:
                number = next(
                    number
                    for number, one in enumerate(seen, 1)
                    if one.shows == shown[0].id and one.evidence.shown == box.label and one.evidence.box == box.box
                )
                found.append((*shown, box.confidence, number))
        return found
