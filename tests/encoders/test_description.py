from __future__ import annotations

from encoders.vision.description import describe, named_things
from encoders.vision.detector import SeenBox
from encoders.vision.relations import relations_of

BUS = SeenBox("bus", 0.9, (0.2, 0.2, 0.6, 0.9))
SEEN = [
    BUS,
    SeenBox("person", 0.8, (0.62, 0.5, 0.7, 0.9)),
    SeenBox("person", 0.5, (0.55, 0.4, 0.65, 0.8)),
    SeenBox("text", 0.95, (0.3, 0.3, 0.4, 0.35), "Marylebone", "text"),
    SeenBox("text", 0.9, (0.8, 0.1, 0.9, 0.15), "EXIT", "text"),
]


def test_boxes_stand_to_one_another() -> None:
    found = {(one.subject, one.relation, one.object) for one in relations_of(SEEN)}
    assert (3, "on", 0) in found
    assert (0, "left of", 1) in found
    assert (0, "overlaps", 2) in found
    assert not any(one.subject == 4 for one in relations_of(SEEN))
    assert relations_of([]) == []


def test_people_beside_a_thing_do_not_hide_it() -> None:
    named = named_things("A mother with her child and a dog beside a red bus; two men wait; no truck.")
    assert set(named) == {"person", "dog", "bus"}


def test_facts_tell_what_they_rest_on() -> None:
    facts = {one.text: one for one in describe(SEEN, "A bus and a dog. No cats.")}
    assert facts["2 × person"].evidence == ("box",)
    assert facts["2 × person"].boxes == (1, 2)
    bus = facts["1 × bus"]
    assert (bus.evidence, bus.words) == (("box", "words"), "bus")
    assert bus.belief > describe(SEEN)[1].belief
    dog = facts["dog, which the words name and no box shows"]
    assert (dog.evidence, dog.boxes) == (("words",), ())
    assert not any("cat" in text for text in facts)
    assert facts["“Marylebone” is written on the bus"].boxes == (3, 0)
    assert facts["“EXIT” is written"].evidence == ("OCR",)
    assert describe([]) == []
