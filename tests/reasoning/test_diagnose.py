from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kg.errors import InputError
from kg.model import Claim, Entity, Source
from reasoning.diagnosis.annotations import PHENOTYPE_ROOT
from reasoning.diagnosis.diagnose import Reasoner, same_annotations
from reasoning.diagnosis.from_snapshot import annotations_of
from reasoning.diagnosis.query import Query
from tests.api.samples import write_sample
from tests.kg.memory_store import MemoryStore
from tests.reasoning.graph import reasoner_of, snapshot_of, store_of


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return store_of(write_sample(tmp_path / "hpo"))


@pytest.fixture
def reasoner(store: MemoryStore, tmp_path: Path) -> Reasoner:
    return reasoner_of(snapshot_of(store, tmp_path / "cache"))


def test_the_disease_with_the_findings_comes_first(reasoner: Reasoner) -> None:
    for disease, present in (
        ("OMIM:100001", ("HP:0020219", "HP:0001251")),
        ("OMIM:100002", ("HP:0001631", "HP:0001166")),
        ("OMIM:100003", ("HP:0000252", "HP:0001263")),
    ):
        answer = reasoner.diagnose(Query(present=present))
        assert answer.results[0].id == disease
        assert answer.ranked == 4
        assert [result.rank for result in answer.results] == [1, 2, 3, 4]
        shares = [result.probability for result in answer.results]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) + answer.none_of_these == pytest.approx(1, abs=1e-4)
        assert answer.graph_version == reasoner.snapshot.version
        assert answer.model_version == reasoner.model_version


def test_a_score_is_the_sum_of_its_parts(reasoner: Reasoner) -> None:
    plain = reasoner.diagnose(Query(present=("HP:0001250",)))
    told = reasoner.diagnose(Query(present=("HP:0001250",), genes=("NCBIGene:16",), inheritance=("HP:0000006",)))
    before = {result.id: result for result in plain.results}
    for result in told.results:
        parts = result.parts
        assert result.score == pytest.approx(parts.findings + parts.genes + parts.inheritance, abs=1e-3)
        assert parts.findings == pytest.approx(before[result.id].score, abs=1e-3)
        present = [finding.contribution for finding in result.findings if finding.state == "present"]
        assert result.likelihood == pytest.approx(sum(present), abs=1e-3)
    by_id = {result.id: result.parts for result in told.results}
    assert by_id["OMIM:100001"].genes == pytest.approx(np.log(0.9), abs=1e-3)  # the graph's only gene
    assert by_id["OMIM:100002"].genes == 0, "no gene of it is known, so genes say nothing"
    # OMIM:100002 and ORPHA:9001 are known as dominant, the others as recessive.
    assert by_id["OMIM:100002"].inheritance == 0
    assert by_id["OMIM:100001"].inheritance == by_id["OMIM:100003"].inheritance < -1


def test_one_catalogue_alone(reasoner: Reasoner) -> None:
    answer = reasoner.diagnose(Query(present=("HP:0001250",), catalogue="ORPHA"))
    assert [result.id for result in answer.results] == ["ORPHA:9001"]


def test_the_limit_holds(reasoner: Reasoner) -> None:
    answer = reasoner.diagnose(Query(present=("HP:0001250",), limit=2))
    assert len(answer.results) == 2
    assert answer.ranked == 4


def test_too_little_evidence_is_said(store: MemoryStore, tmp_path: Path) -> None:
    snapshot = snapshot_of(store, tmp_path / "cache")
    query = Query(present=("HP:0001263",))
    sure = reasoner_of(snapshot, threshold=0.01).diagnose(query)
    assert sure.sufficient
    assert sure.reason == ""
    unsure = reasoner_of(snapshot, threshold=0.99).diagnose(query)
    assert not unsure.sufficient
    assert "99 %" in unsure.reason
    assert unsure.text.startswith("The evidence does not suffice")


@pytest.mark.parametrize(
    ("query", "place", "says"),
    [
        (Query(), "present", "nothing to go by"),
        (Query(present=("HP:0001250", "HP:7654321")), "present[1]", "HP:7654321"),
        (Query(present=("HP:0000006",)), "present[0]", "phenotypic abnormality"),
        (Query(excluded=("HP:7654321",)), "excluded[0]", "HP:7654321"),
        (Query(present=("HP:0001250",), excluded=("HP:0001250",)), "excluded", "at once"),
        (Query(present=("HP:0001250",), onset="HP:0001250"), "onset", "onset"),
        (Query(present=("HP:0001250",), onset="soon"), "onset", "soon"),
        (Query(present=("HP:0001250",), age="3"), "age", "P3Y6M"),
        (Query(present=("HP:0001250",), sex="X"), "sex", "FEMALE"),
        (Query(present=("HP:0001250",), inheritance=("HP:0001250",)), "inheritance[0]", "mode of inheritance"),
        (Query(present=("HP:0001250",), catalogue="ICD"), "catalogue", "OMIM"),
        (Query(genes=("NOPE",)), "present", "NOPE"),
    ],
)
def test_a_question_that_makes_no_sense_names_the_field(
    reasoner: Reasoner, query: Query, place: str, says: str
) -> None:
    with pytest.raises(InputError) as error:
        reasoner.diagnose(query)
    assert error.value.place == place
    assert says in str(error.value)


def test_a_lenient_question_says_what_was_left_out(reasoner: Reasoner) -> None:
    query = Query(
        present=("HP:0001250", "HP:7654321"),
        excluded=("HP:0001250", "HP:0000707", "HP:0001166"),
        genes=("NOPE", "AARS1"),
        places={"present[1]": "case.json: phenotypicFeatures[7]"},
        lenient=True,
    )
    understood = reasoner.diagnose(query).query
    assert [term.id for term in understood.present] == ["HP:0001250"]
    assert [term.id for term in understood.excluded] == ["HP:0001166"]
    assert [gene.name for gene in understood.genes] == ["AARS1"]
    left_out = {item.given: item for item in understood.ignored}
    assert set(left_out) == {"HP:7654321", "HP:0001250", "HP:0000707", "NOPE"}
    assert left_out["HP:7654321"].place == "case.json: phenotypicFeatures[7]"
    assert "HP:0001250" in left_out["HP:0000707"].reason


def test_an_obsolete_id_is_replaced_and_said(store: MemoryStore, tmp_path: Path) -> None:
    source = "hpo:2025-01-16"
    store.write(
        entities=[Entity("HP:9000000", ("Phenotype",), source, {"name": "old", "obsolete": True})],
        claims=[Claim("HP:9000000", "REPLACED_BY", "HP:0001250", source)],
    )
    reasoner = reasoner_of(snapshot_of(store, tmp_path / "cache"))
    answer = reasoner.diagnose(Query(present=("HP:9000000",)))
    [replaced] = answer.query.replaced
    assert (replaced.place, replaced.given, replaced.used) == ("present[0]", "HP:9000000", "HP:0001250")
    assert answer.results == reasoner.diagnose(Query(present=("HP:0001250",))).results


def test_a_predicted_fact_is_marked(store: MemoryStore, tmp_path: Path) -> None:
    store.write([Source("gnn:1", "model")], claims=[Claim("OMIM:100003", "HAS_PHENOTYPE", "HP:0001166", "gnn:1", 1.0)])
    snapshot = snapshot_of(store, tmp_path / "cache")
    answer = reasoner_of(snapshot, "gnn:1").diagnose(Query(present=("HP:0001166", "HP:0000252")))
    marked = {(e.subject, e.object): e.predicted for e in answer.evidence if e.relation == "HAS_PHENOTYPE"}
    assert marked["OMIM:100003", "HP:0001166"]
    assert not marked["OMIM:100003", "HP:0000252"]


def test_a_gene_is_found_by_id_symbol_and_namesake(store: MemoryStore, tmp_path: Path) -> None:
    store.write(entities=[Entity("HGNC:20", ("Gene",), "hpo:2025-01-16", {"name": "AARS1"})])
    reasoner = reasoner_of(snapshot_of(store, tmp_path / "cache"))
    for text in ("NCBIGene:16", "AARS1", "aars1", "HGNC:20"):
        assert [gene.id for gene in reasoner.diagnose(Query(genes=(text,))).query.genes] == ["NCBIGene:16"]


def test_the_model_outlives_changes_that_do_not_concern_it(store: MemoryStore, tmp_path: Path) -> None:
    first = annotations_of(snapshot_of(store, tmp_path / "cache"))
    store.write(
        [Source("PMID:5", "publication")],
        [Entity("p:1", ("Patient",), "PMID:5", {"name": "p"})],
        [Claim("p:1", "HAS_PHENOTYPE", "HP:0001166", "PMID:5")],
    )
    assert same_annotations(first, annotations_of(snapshot_of(store, tmp_path / "cache")))
    store.write(claims=[Claim("OMIM:100003", "HAS_PHENOTYPE", "HP:0001166", "PMID:1002")])
    assert not same_annotations(first, annotations_of(snapshot_of(store, tmp_path / "cache")))


def test_the_root_of_all_findings_is_a_finding(reasoner: Reasoner) -> None:
    assert reasoner.diagnose(Query(present=(PHENOTYPE_ROOT,))).results
