import numpy as np
import pytest

from encoders.calibration import expected_calibration_error
from encoders.progress import quiet
from kg.errors import ConfigurationError, InputError
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.features import FEATURES
from reasoning.diagnosis.ranking import Calibration, DiagnosisModel, Ranker, posterior
from reasoning.diagnosis.scan import Index, Parameters, findings_of
from reasoning.diagnosis.simulation import simulate
from reasoning.diagnosis.training import (
    Query,
    Settings,
    calibrate,
    fit,
    folds_by_disease,
    real_queries,
    simulated_queries,
    train,
)
from tests.reasoning.annotation_set import many_diseases

SMALL = Settings(rounds=8, simulated=60, folds=3)


@pytest.fixture(scope="module")
def annotations():
    return many_diseases()


@pytest.fixture(scope="module")
def cases(annotations):
    index = Index(annotations, Parameters())
    ids = annotations.term_ids
    return [
        Case(
            f"case:{at}",
            (annotations.disease_ids[patient.disease],),
            tuple(ids[term] for term in patient.findings.present),
            tuple(ids[term] for term in patient.findings.excluded),
            publication=annotations.source_ids[patient.source],
        )
        for at, patient in enumerate(simulate(index, 80, 11))
    ]


@pytest.fixture(scope="module")
def ranker(annotations, cases):
    return train(annotations, cases, seed=1, settings=SMALL)


def test_a_disease_is_in_one_fold_and_folds_are_about_equal():
    diseases = np.repeat(np.arange(30), np.random.default_rng(0).integers(1, 9, 30))
    fold = folds_by_disease(diseases, 5, 1)
    assert all(len(set(fold[diseases == disease])) == 1 for disease in range(30))
    sizes = np.bincount(fold, minlength=5)
    assert sizes.max() - sizes.min() <= 9


def test_no_patient_of_a_judged_disease_trains_its_ranker(annotations, cases, monkeypatch):
    from reasoning.diagnosis import training

    index = Index(annotations, Parameters())
    real, simulated = real_queries(index, cases, quiet), simulated_queries(index, SMALL, 1, quiet)
    taught = []

    def spy(real, simulated, settings, seed):
        taught.append({query.disease for query in [*real, *simulated]})
        return fit(real, simulated, settings, seed)

    monkeypatch.setattr(training, "fit", spy)
    training.cross_fit(real, simulated, SMALL, 1, quiet)
    fold = folds_by_disease(np.array([query.disease for query in real]), SMALL.folds, 1)
    for held, diseases in enumerate(taught):
        judged = {query.disease for query, of in zip(real, fold, strict=True) if of == held}
        assert judged
        assert judged.isdisjoint(diseases)


def test_the_ranker_finds_patients_drawn_anew(annotations, ranker):
    model = DiagnosisModel(annotations, ranker)
    first = [model.rank(p.findings, catalogue="OMIM").candidates[0] == p.disease for p in simulate(model.index, 60, 99)]
    assert np.mean(first) > 0.8


def test_training_is_repeatable_and_survives_saving(annotations, cases, ranker, tmp_path):
    again = train(annotations, cases, seed=1, settings=SMALL)
    ranker.save(tmp_path / "one")
    again.save(tmp_path / "two")
    for name in ("card.json", "model.txt.gz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    loaded = Ranker.load(tmp_path / "one")
    table = np.random.default_rng(0).normal(size=(20, len(FEATURES))).astype(np.float32)
    assert np.allclose(loaded.score(table), ranker.score(table))
    assert loaded.calibration == ranker.calibration
    assert loaded.card["seed"] == 1
    assert loaded.card["data"]["cases"] == len(cases)
    assert set(loaded.card["without_own_publication"]) >= {"top1", "top3", "top10", "mrr", "ece"}


def test_the_card_names_what_does_not_fit(ranker, tmp_path):
    ranker.save(tmp_path)
    card = tmp_path / "card.json"
    text = card.read_text()
    card.write_text(text.replace('"cosine"', '"sine"'))
    with pytest.raises(ConfigurationError, match=r"other features.*cosine.*train it again"):
        Ranker.load(tmp_path)
    card.write_text(text)
    (tmp_path / "model.txt.gz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(ConfigurationError, match="no usable ranker"):
        Ranker.load(tmp_path)
    with pytest.raises(ConfigurationError, match="no usable ranker"):
        Ranker.load(tmp_path / "nowhere")


def test_without_a_known_disease_there_is_nothing_to_train_on(annotations):
    case = Case("case", ("OMIM:999999",), (annotations.term_ids[-1],), ())
    with pytest.raises(InputError, match="no case to train on"):
        train(annotations, [case], settings=Settings(rounds=1, simulated=0))


def test_calibration_finds_the_temperature_and_the_threshold():
    rng = np.random.default_rng(0)
    queries, scores = [], []
    for _ in range(3000):
        logits = rng.normal(size=6)
        weights = np.exp(logits)
        truth = int(rng.choice(6, p=weights / weights.sum()))
        queries.append(Query(0, np.zeros((6, 1), np.float32), truth, 1.0, without=False))
        scores.append(logits * 0.5)  # true temperature 0.5
    calibration = calibrate(queries, scores)
    assert calibration.temperature == pytest.approx(0.5, rel=0.15)
    top = np.array([posterior(score, calibration).max() for score in scores])
    right = np.array([query.rank(score) <= 1 for query, score in zip(queries, scores, strict=True)], np.float64)
    assert expected_calibration_error(top, right) < 0.05
    assert calibration.threshold == pytest.approx(0.5, abs=0.1)


def test_none_of_these_takes_its_share():
    score = np.array([1.0, 0.0])
    assert posterior(score, Calibration(1.0, -50.0)).sum() == pytest.approx(1)
    assert posterior(score, Calibration(1.0, np.log(np.e + 1))).sum() == pytest.approx(0.5)
    assert posterior(np.zeros(0), Calibration()).tolist() == []


def test_calibration_error():
    assert expected_calibration_error(np.array([0.9, 0.9]), np.array([1.0, 0.0])) == pytest.approx(0.4)
    assert expected_calibration_error(np.array([0.55] * 20), np.array([1.0] * 11 + [0.0] * 9)) == pytest.approx(0)


def test_equal_scores_share_the_middle_rank():
    query = Query(0, np.zeros((4, 1), np.float32), 2, 1.0, without=False)
    assert query.rank(np.array([3.0, 1.0, 1.0, 1.0])) == 3
    missed = Query(0, np.zeros((4, 1), np.float32), -1, 40.0, without=False)
    assert missed.rank(np.zeros(4)) == 40


def test_findings_of_every_drawn_case_are_known(annotations, cases):
    assert all(len(findings_of(case, annotations).present) == len(case.present) for case in cases)
