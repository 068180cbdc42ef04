"""What words mean among names: writing, word order, brackets, slips of the pen; and what is never taken for a slip."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.identifiers import Identifiers
from ingestion.names import NameIndex, fold, key
from ingestion.readers.hpo import HpoReader
from kg.model import Entity
from tests.support.backends import ONTOLOGY

DISEASE = frozenset({"Disease", "Entity"})
PHENOTYPE = frozenset({"Phenotype", "OntologyTerm", "Entity"})

NAMES = (
    ("HP:0001250", PHENOTYPE, "Seizure", ("Epileptic seizure", "癲癇發作")),
    ("HP:0000316", PHENOTYPE, "Hypertelorism", ("Wide-set eyes",)),
    ("HP:0000601", PHENOTYPE, "Hypotelorism", ()),
    ("HP:0000256", PHENOTYPE, "Macrocephaly", ()),
    ("HP:0001629", PHENOTYPE, "Ventricular septal defect", ()),
    ("HP:0009763", PHENOTYPE, "Limb pain", ("Pain in limb",)),
    ("HP:0001903", PHENOTYPE, "Anemia", ()),
    ("HP:0002315", PHENOTYPE, "Headache", ()),
    ("OMIM:607208", DISEASE, "Dravet syndrome", ()),
    ("ORPHA:33069", DISEASE, "Dravet syndrome", ()),
    ("OMIM:1", DISEASE, "Smith syndrome", ()),
    ("OMIM:2", DISEASE, "Smith syndrome", ()),
    ("OMIM:3", DISEASE, "Muscular dystrophy type 2", ()),
    ("OMIM:4", DISEASE, "Limb pain", ()),
)


@pytest.fixture(scope="module")
def index() -> NameIndex:
    made = NameIndex()
    for id_, classes, name, synonyms in NAMES:
        made.add(id_, classes, name, synonyms)
    return made


@pytest.mark.parametrize(
    ("words", "id_", "how"),
    [
        ("Seizure", "HP:0001250", "name"),
        (" SEIZURE ", "HP:0001250", "name"),
        ("Ｓｅｉｚｕｒｅ", "HP:0001250", "name"),
        ("Seizures", "HP:0001250", "words"),
        ("epileptic seizure", "HP:0001250", "synonym"),
        ("癫痫发作", "HP:0001250", "synonym"),
        ("wide set eyes", "HP:0000316", "words"),
        ("pain of the limbs", "HP:0009763", "words"),
        ("Anaemia", "HP:0001903", "words"),
        ("Headaches", "HP:0002315", "words"),
        ("Ventricular septal defects (VSD)", "HP:0001629", "gloss"),
        ("Hypertelorism (wide-set eyes)", "HP:0000316", "gloss"),
        ("Ventricular septal defcet", "HP:0001629", "spelling"),
    ],
)
def test_found(index: NameIndex, words: str, id_: str, how: str) -> None:
    match = index.find(words, frozenset({"Phenotype"}))
    assert match is not None
    assert (match.id, match.how) == (id_, how)


@pytest.mark.parametrize(
    "words",
    [
        "Microcephaly",  # a slip from macrocephaly, and its opposite
        "Hypotelorisn (narrow)",
        "Ventricular septal defect (muscular)",
        "Epileptic seizure disorder",
    ],
)
def test_never_sure(index: NameIndex, words: str) -> None:
    match = index.find(words, frozenset({"Phenotype"}))
    assert match is None or not match.id


def test_numbers_are_no_slips(index: NameIndex) -> None:
    match = index.find("Muscular dystrophy type 3", frozenset({"Disease"}))
    assert match is not None
    assert match.id == ""
    assert match.candidates[0][0] == "OMIM:3"


def test_catalogues_are_entries_of_one_thing_and_namesakes_are_not(index: NameIndex) -> None:
    match = index.find("dravet Syndrome", frozenset({"Disease"}))
    assert match is not None
    assert match.id == "OMIM:607208"
    match = index.find("Smith syndrome", frozenset({"Disease"}))
    assert match is not None
    assert (match.id, match.how) == ("", "ambiguous")
    assert {c[0] for c in match.candidates} == {"OMIM:1", "OMIM:2"}


def test_rare_words_weigh_more() -> None:
    index = NameIndex()
    for number in range(100):
        index.add(f"OMIM:{number}", DISEASE, f"Somebody{number} disease")
        index.add(f"ORPHA:{number}", DISEASE, f"Another{number} syndrome")
    index.add("OMIM:607208", DISEASE, "Dravet syndrome")
    match = index.find("Dravet disease", frozenset({"Disease"}))
    assert match is not None
    assert (match.id, [id_ for id_, _, _ in match.candidates]) == ("", ["OMIM:607208"])


def test_only_among_the_classes_wanted(index: NameIndex) -> None:
    assert index.find("Limb pain", frozenset({"Disease"})).id == "OMIM:4"  # type: ignore[union-attr]
    assert index.find("Limb pain", frozenset({"Phenotype"})).id == "HP:0009763"  # type: ignore[union-attr]
    assert index.find("Seizure", frozenset({"Disease"})) is None


@given(st.text(max_size=30))
def test_folding_again_changes_nothing(text: str) -> None:
    once = fold(text)
    assert fold(once) == once
    assert key(fold(key(once))) == key(key(once))


@given(st.text(max_size=60))
def test_any_text_may_be_asked(index: NameIndex, text: str) -> None:
    match = index.find(text, frozenset())
    assert match is None or match.id or match.candidates


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("hp:0001250", "HP:0001250"),
        ("HP_0001250", "HP:0001250"),
        ("http://purl.obolibrary.org/obo/HP_0001250", "HP:0001250"),
        ("Orphanet:123", "ORPHA:123"),
        ("ORPHANET:123", "ORPHA:123"),
        ("http://www.orpha.net/ORDO/Orphanet_123", "ORPHA:123"),
        ("MIM:607208", "OMIM:607208"),
        ("https://omim.org/entry/607208", "OMIM:607208"),
    ],
)
def test_ids_have_one_spelling(text: str, id_: str) -> None:
    identifiers = Identifiers(ONTOLOGY)
    assert identifiers.canonical(text) == id_
    assert identifiers.one_spelling(text) == (id_ if ":" in text else text)


@pytest.mark.parametrize("text", ["hpo:phenotype.hpoa", "coco:7", "Seizure", "http://example.org/7", "HP:x"])
def test_other_ids_stay(text: str) -> None:
    assert Identifiers(ONTOLOGY).one_spelling(text) == text


def test_all_of_hpo_is_indexed_in_time() -> None:
    reader = HpoReader()
    terms = [r for r in reader.read(next(reader.documents())) if isinstance(r, Entity)]
    index = NameIndex()
    started = time.process_time()
    for term in terms:
        synonyms = term.properties.get("synonyms", ())
        assert isinstance(synonyms, tuple)
        index.add(term.id, PHENOTYPE, str(term.properties.get("name", "")), synonyms)
    match = index.find("Microscopic nephrocalcinosys", PHENOTYPE)
    assert match is not None
    assert time.process_time() - started < 10  # some half a second; ten times that on a slow machine


def test_things_of_different_classes_are_namesakes_in_whatever_catalogue() -> None:
    index = NameIndex()
    index.add("brand:shop/Apple", frozenset({"Entity", "Brand"}), "Apple")
    index.add("object:apple", frozenset({"Entity", "ObjectClass"}), "apple")
    match = index.find("apple", frozenset())
    assert match is not None
    assert (match.id, match.how) == ("", "ambiguous")
    assert {id_ for id_, _, _ in match.candidates} == {"brand:shop/Apple", "object:apple"}


TOLD = st.tuples(
    st.sampled_from(("E:1", "E:2", "F:3")),
    st.sampled_from((DISEASE, PHENOTYPE)),
    st.sampled_from(("Limb pain", "pain in limb", "Limb weakness", "癲癇發作", "")),
)


@settings(deadline=None)  # the first Chinese name loads a dictionary
@given(st.lists(TOLD, max_size=6), st.lists(TOLD, max_size=6), st.booleans())
def test_what_was_discarded_leaves_nothing(
    gone: list[tuple[str, frozenset[str], str]], told: list[tuple[str, frozenset[str], str]], asked: bool
) -> None:
    words = ("limb pain", "limbs' pain", "limb pains weakness", "weaknes", "癫痫发作", "pain (limb)")
    found, fresh = NameIndex(), NameIndex()
    for id_, classes, name in gone:
        found.add(id_, classes, name, ("Pain",))
    if asked:  # what is looked up is indexed further
        found.find("weaknes", frozenset())
    for id_ in ("E:1", "E:2", "F:3", "G:4"):
        found.discard(id_)
    for id_, classes, name in told:
        found.add(id_, classes, name)
    for id_, classes, name in reversed(told):
        fresh.add(id_, classes, name)
    assert len(found) == len(fresh)
    for text in words:
        for wanted in (frozenset[str](), DISEASE, PHENOTYPE):
            assert found.find(text, wanted) == fresh.find(text, wanted)
