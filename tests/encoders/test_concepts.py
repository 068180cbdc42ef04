from __future__ import annotations

import time

import pytest

from encoders.concepts.context import statuses
from encoders.concepts.matcher import ConceptMatcher
from encoders.concepts.names import ConceptName
from encoders.concepts.reader import ConceptReader
from encoders.concepts.words import lemma, stem

NAMES = (
    ("seizure", "Seizure", ("Epileptic seizure",)),
    ("clonic", "Bilateral tonic-clonic seizure", ()),
    ("kidney", "Abnormality of the kidney", ("Kidney abnormality", "Renal anomaly")),
    ("palm", "Palmar pits", ()),
    ("sole", "Plantar pits", ("Pits of the soles",)),
    ("palms", "Pits of the palms", ()),
    ("head", "Microcephaly", ("Small head",)),
    ("asd", "Atrial septal defect", ("ASD",)),
    ("mania", "Mania", ()),
    ("edema", "Edema", ()),
)


@pytest.fixture(scope="module")
def matcher() -> ConceptMatcher:
    return ConceptMatcher(
        name
        for concept, preferred, synonyms in NAMES
        for name in (ConceptName(concept, preferred), *(ConceptName(concept, each, False) for each in synonyms))
    )


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ("She has seizures.", ["seizure"]),
        ("tonic-clonic seizures, bilateral", ["seizure"]),
        ("bilateral tonic-clonic seizures", ["clonic"]),
        ("abnormal kidneys", ["kidney"]),
        ("anomalies of the kidney", []),
        ("renal anomalies", ["kidney"]),
        ("Microcephalic, with a small head", ["head", "head"]),
        ("palmar and plantar pits", ["palm", "sole"]),
        ("pits of the palms and soles", ["palms", "sole"]),
        ("an ASD was closed", ["asd"]),
        ("asd", []),
        ("many kidneys", []),
        ("oedema", ["edema"]),
        ("", []),
    ],
)
def test_what_is_named_is_found(matcher: ConceptMatcher, text: str, concepts: list[str]) -> None:
    found = matcher.find(text)
    assert [mention.concept for mention in found] == concepts
    assert all(0 <= mention.start < mention.end <= len(text) for mention in found)


def test_the_longer_name_counts_and_the_one_within_if_asked(matcher: ConceptMatcher) -> None:
    text = "bilateral tonic-clonic seizure"
    (whole,) = matcher.find(text)
    assert (text[whole.start : whole.end], whole.rank) == (text, 0)
    assert [mention.concept for mention in matcher.find(text, nested=True)] == ["clonic", "seizure"]


def test_what_synonyms_interchange_is_interchanged_in_longer_names() -> None:
    names = [
        ConceptName(f"{organ}", f"{word} of the {organ}", word == "Neoplasm")
        for organ in ("liver", "lung", "skin", "bone", "heart")
        for word in ("Neoplasm", "Tumor")
    ]
    names.append(ConceptName("benign", "Benign neoplasm of the brain"))
    assert [one.concept for one in ConceptMatcher(names).find("a benign tumour of the brain")] == ["benign"]
    assert ConceptMatcher(names, interchanged=0).find("a benign tumour of the brain") == []


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (("seizures", "seizure"), True),
        (("hypoplasia", "hypoplastic"), True),
        (("anaemia", "anemic"), True),
        (("teeth", "tooth"), True),
        (("many", "mania"), False),
        (("cervical", "cervicitis"), False),
        (("abnormal", "abnormality"), True),
    ],
)
def test_lemmas(words: tuple[str, str], same: bool) -> None:
    assert (lemma(words[0]) == lemma(words[1])) == same
    assert stem(words[0]) or same


@pytest.mark.parametrize(
    ("text", "words", "status"),
    [
        ("She has seizures.", "seizures", "present"),
        ("There was no evidence of seizures.", "seizures", "excluded"),
        ("No ptosis or seizures were noted.", "seizures", "excluded"),
        ("No ptosis, but seizures since birth.", "seizures", "present"),
        ("Seizures were not observed.", "Seizures", "excluded"),
        ("No fever. Seizures began early.", "Seizures", "present"),
        ("Her mother has ataxia.", "ataxia", "family"),
        ("Possible scoliosis.", "scoliosis", "uncertain"),
        ("Scoliosis cannot be excluded.", "Scoliosis", "uncertain"),
        ("Return if fever occurs.", "fever", "hypothetical"),
        ("He cannot walk because of spasticity.", "spasticity", "present"),
        ("Absent speech was noted.", "Absent speech", "present"),
        ("Seizures, no ptosis, and scoliosis.", "scoliosis", "present"),
        ("No ptosis, ataxia, and scoliosis.", "ataxia", "excluded"),
        ("Fever without ptosis and with scoliosis.", "scoliosis", "present"),
        ("Ataxia: absent", "Ataxia", "excluded"),
        ("Ataxia (-), ptosis (+)", "Ataxia", "excluded"),
        ("Ataxia (-), ptosis (+)", "ptosis", "present"),
        ("His mother noticed microcephaly.", "microcephaly", "present"),
        ("Ataxia - absent", "Ataxia", "excluded"),
        ("Ataxia (no)", "Ataxia", "excluded"),
        ("Ataxia absent; ptosis", "Ataxia", "excluded"),
        ("Ataxia, absent reflexes.", "Ataxia", "present"),
        ("Ataxia: N", "Ataxia", "excluded"),
        ("Ataxia? No.", "Ataxia", "excluded"),
        ("Ataxia?", "Ataxia", "uncertain"),
        ("Ptosis noted; reflexes absent.", "Ptosis", "present"),
        ("She hasn't had seizures.", "seizures", "excluded"),
        ("She didn’t have seizures.", "seizures", "excluded"),
        ("Seizure-free.", "Seizure", "excluded"),
        ("A non-seizure event", "seizure", "excluded"),
        ("Seizures have never been observed.", "Seizures", "excluded"),
        ("Seizures have been excluded.", "Seizures", "excluded"),
        ("Denies:\n- fever\n- scoliosis\n\nHas:\n- seizures", "scoliosis", "excluded"),
        ("Denies:\n- fever\n- scoliosis\n\nHas:\n- seizures", "seizures", "present"),
        ("Family history:\n• scoliosis", "scoliosis", "family"),
        ("Her mother, who has scoliosis, brought him.", "scoliosis", "family"),
        ("Her parents brought her for seizures.", "seizures", "present"),
        ("Her twin has scoliosis.", "scoliosis", "family"),
        ("No doubt about scoliosis.", "scoliosis", "present"),
        ("[ ] fever [x] scoliosis", "scoliosis", "present"),
        ("☑ seizures\n☐ scoliosis", "scoliosis", "uncertain"),
        ("Scoliosis [ ] seizures [x]", "Scoliosis", "uncertain"),
        ("Scoliosis [ ] seizures [x]", "seizures", "present"),
    ],
)
def test_what_a_text_says_of_a_finding(text: str, words: str, status: str) -> None:
    spans = []
    for each in ("Ataxia", "ptosis", words):
        at = text.find(each)
        if at >= 0:
            spans.append((at, at + len(each)))
    spans = sorted({*spans})
    at = text.index(words)
    assert statuses(text, spans)[spans.index((at, at + len(words)))] == status


def test_hidden_marks_and_other_scripts_do_no_harm(matcher: ConceptMatcher) -> None:
    for text in ("seiz\u200bures \u202eseizures\u202c", "صرع seizures", "\x00seizures\x00", "癫痫 seizures 😀"):
        assert [text[one.start : one.end] for one in matcher.find(text)] == ["seizures"]


@pytest.mark.parametrize("text", ["no seizures ", "seizures not seen, ", "seizures ", "发热、", "没有发热"])
def test_long_texts_take_time_by_their_length(text: str) -> None:
    reader = ConceptReader([ConceptName("a", "Seizure"), ConceptName("b", "发热")])
    started = time.process_time()
    assert len(reader.find(text * 10_000)) == 10_000
    assert time.process_time() - started < 10
