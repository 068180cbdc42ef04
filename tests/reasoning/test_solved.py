import numpy as np
import pytest

from encoders.progress import quiet
from kg.model import Claim, Entity, Source
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.features import FEATURES, features
from reasoning.diagnosis.query import Query
from reasoning.diagnosis.scan import Findings, Index, Parameters, Scan
from reasoning.diagnosis.solved import SolvedPatients
from reasoning.diagnosis.training import real_queries
from reasoning.diagnosis.write import citation_problems
from tests.api.samples import write_sample
from tests.reasoning.annotation_set import annotation_set
from tests.reasoning.graph import reasoner_of, snapshot_of, store_of

ANNOTATIONS = annotation_set()
CASES = [
    Case("one", ("OMIM:1",), ("HP:1000003", "HP:2000001"), (), publication="PMID:1"),
    Case("two", ("OMIM:1",), ("HP:1000003",), (), publication="PMID:2"),
    Case("three", ("OMIM:4", "OMIM:999"), ("HP:3000001",), (), publication="PMID:1"),
    Case("no disease known", ("OMIM:999",), ("HP:3000001",), ()),
    Case("no finding", ("OMIM:1",), ("HP:0003577",), ()),
]


def terms(*ids: str) -> np.ndarray:
    return np.array(sorted(ANNOTATIONS.term_index[id_] for id_ in ids), np.int64)


def test_patients_are_like_those_with_the_same_findings() -> None:
    solved = SolvedPatients(CASES, ANNOTATIONS)
    assert len(solved) == 3
    like = solved.likeness(terms("HP:1000003", "HP:2000001"))
    at = ANNOTATIONS.disease_index
    assert like.best[at["OMIM:1"]] == pytest.approx(1)
    assert like.many[at["OMIM:1"]] == 2
    assert 1 / 3 < like.mean[at["OMIM:1"]] < 2 / 3
    assert like.best[at["OMIM:4"]] == like.best[at["OMIM:5"]] == 0
    similarity = solved.similarity(terms("HP:1000003", "HP:2000001"))
    assert [id_ for id_, _ in solved.best_of(at["OMIM:1"], similarity)] == ["one", "two"]
    assert solved.likeness(terms()).best.max() == 0


def test_himself_and_the_fellows_of_his_publication_are_left_out() -> None:
    solved = SolvedPatients(CASES, ANNOTATIONS)
    at = ANNOTATIONS.disease_index
    asked = terms("HP:1000003", "HP:2000001")
    alone = solved.likeness(asked, solved.apart("one", None))
    assert 0 < alone.best[at["OMIM:1"]] < 1
    assert alone.many[at["OMIM:4"]] == 1
    other = solved.likeness(asked, solved.apart("one", "PMID:1"))
    assert other.many[at["OMIM:4"]] == 0
    assert solved.apart("one", "").tolist() == [True, False, False]


def test_every_case_is_asked_of_a_graph_with_solved_patients_and_of_one_without() -> None:
    index = Index(ANNOTATIONS, Parameters(), SolvedPatients(CASES[:3], ANNOTATIONS))
    queries = real_queries(index, CASES[:1], quiet)
    assert [(query.without, query.solved) for query in queries] == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]
    column = FEATURES.index("solved_best")
    assert [float(query.matrix[:, column].max()) > 0 for query in queries] == [False, True, False, True]
    scan = Scan(Index(ANNOTATIONS, Parameters()), index.profiles.view(), Findings(terms("HP:1000003"), terms()))
    matrix = features(scan, np.arange(3))
    assert not matrix[:, [at for at, name in enumerate(FEATURES) if name.startswith("solved")]].any()


def test_a_disease_far_down_is_a_candidate_if_a_solved_patient_has_it() -> None:
    case = Case("rare", ("OMIM:4",), ("HP:1000003", "HP:2000001"), ())
    for solved, expected in (([], False), ([case], True)):
        index = Index(ANNOTATIONS, Parameters(candidates=1), SolvedPatients(solved, ANNOTATIONS))
        scan = Scan(index, index.profiles.view(), Findings(terms(*case.present), terms()))
        found = scan.candidates(index.has_finding)
        assert (ANNOTATIONS.disease_index["OMIM:4"] in found) is expected


def test_the_answer_cites_the_likest_patient_of_the_graph(tmp_path) -> None:
    store = store_of(write_sample(tmp_path / "hpo"))
    source = Source("PMID:77", "publication", document="d")
    patient = Entity("patient:7", ("Patient",), source.id, {"name": "Seven"}, "d")
    facts = [("HAS_DIAGNOSIS", "OMIM:100001"), ("HAS_PHENOTYPE", "HP:0020219"), ("HAS_PHENOTYPE", "HP:0001251")]
    store.write([source], [patient], [Claim(patient.id, *fact, source.id, 1.0, {}, "d") for fact in facts])
    reasoner = reasoner_of(snapshot_of(store, tmp_path / "cache"))
    answer = reasoner.diagnose(Query(present=("HP:0020219", "HP:0001251")))
    assert citation_problems(answer) == []
    [alike] = answer.results[0].alike
    assert (alike.id, alike.name, alike.similarity) == ("patient:7", "Seven", 1.0)
    assert "Seven (patient:7), a patient with similar findings (above 99 %), has OMIM:100001 [" in answer.text
    himself = reasoner.diagnose(Query(present=("HP:0020219", "HP:0001251"), patient="patient:7"))
    assert not himself.results[0].alike
    assert reasoner.model.index.solved.apart("", "PMID:77").all()
    assert all(not result.alike for result in answer.results[1:])
