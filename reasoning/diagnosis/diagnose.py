"""From a question to an answer: ranks the diseases of a graph for a patient, explains the first, says what to ask."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from functools import cached_property

import numpy as np
import orjson

from kg.snapshot import Snapshot
from reasoning.diagnosis.annotations import Bools, Floats, PhenotypeAnnotations
from reasoning.diagnosis.answer import Answer, Parts, Result
from reasoning.diagnosis.evidence import EvidenceList, Facts
from reasoning.diagnosis.explain import Explainer, Matches
from reasoning.diagnosis.notes import NoteReader
from reasoning.diagnosis.query import Query, understand
from reasoning.diagnosis.questions import next_questions
from reasoning.diagnosis.ranking import DiagnosisModel, Ranker, Ranking
from reasoning.diagnosis.scan import Findings
from reasoning.diagnosis.write import against, percent, write

_QUESTIONS = 5


class Reasoner:
    """Answers questions for a diagnosis from one model and one snapshot; safe to use from several threads.

    Args:
        snapshot: of the medical domain, from which evidence is cited.
        model: of annotations that this snapshot has.
        models: ids of the sources that predict and do not observe.
    """

    def __init__(self, snapshot: Snapshot, model: DiagnosisModel, models: Collection[str] = ()) -> None:
        self.snapshot = snapshot
        self.model = model
        self.model_version = version_of(model.ranker)
        self._facts = Facts(snapshot, models)
        self._explainer = Explainer(model.index)

    @cached_property
    def notes(self) -> NoteReader:
        """Reads notes by the names of this version's terms."""
        return NoteReader.of_graph(self.snapshot, self.annotations)

    @property
    def annotations(self) -> PhenotypeAnnotations:
        """What the diseases are known by."""
        return self.model.annotations

    def diagnose(self, query: Query) -> Answer:
        """Ranks all diseases for a patient, and explains the first `limit` of them.

        Raises:
            InputError: the question makes no sense; names the field.
        """
        findings, understood = understand(query, self.annotations, self._find_gene, self._facts.name)
        apart = self.model.index.solved.apart(query.patient, None)
        ranking = self.model.rank(findings, apart=apart, catalogue=query.catalogue or None)
        evidence = EvidenceList(self._facts)
        results = self._results(ranking, findings, apart, query.limit, evidence)
        questions = next_questions(self.model.index, ranking.candidates, ranking.probability, findings, _QUESTIONS)
        reason = self._insufficient(ranking.probability)
        text = write(understood, reason, results, questions, evidence)
        return Answer(
            graph_version=self.snapshot.version,
            model_version=self.model_version,
            query=understood,
            sufficient=not reason,
            reason=reason,
            none_of_these=round(max(1 - float(ranking.probability.sum()), 0.0), 6),
            ranked=len(ranking.candidates),
            results=results,
            next_questions=questions,
            text=text,
            evidence=evidence.numbered(),
        )

    def _results(
        self, ranking: Ranking, findings: Findings, apart: Bools, limit: int, evidence: EvidenceList
    ) -> list[Result]:
        annotations, explainer = self.annotations, self._explainer
        diseases = ranking.candidates[:limit]
        matches = Matches(self.model.index, diseases, findings)
        of_all = explainer.findings(matches, diseases, findings, evidence)
        score = ranking.score[:limit] / self.model.calibration.temperature
        genes = self.model.gene_ratio(findings)[diseases]
        inheritance = self.model.inheritance_ratio(findings)[diseases]
        similarity = np.where(apart, 0.0, self.model.index.solved.similarity(findings.present))
        results = []
        for row, (disease, explained) in enumerate(zip(diseases.tolist(), of_all, strict=True)):
            parts = Parts(
                findings=round(float(score[row] - genes[row] - inheritance[row]), 4),
                genes=round(float(genes[row]), 4),
                inheritance=round(float(inheritance[row]), 4),
            )
            results.append(
                Result(
                    rank=row + 1,
                    id=annotations.disease_ids[disease],
                    name=annotations.disease_names[disease],
                    probability=round(float(ranking.probability[row]), 6),
                    score=round(float(score[row]), 4),
                    parts=parts,
                    likelihood=round(sum(f.contribution for f in explained if f.state == "present"), 4),
                    findings=explained,
                    against=[finding.id for finding in against(explained)],
                    genes=explainer.genes(disease, findings.genes, evidence),
                    inheritance=explainer.inheritance(disease, findings.inheritance, evidence),
                    onset=explainer.onset(disease, evidence),
                    alike=explainer.alike(disease, similarity, evidence),
                )
            )
        return results

    def _insufficient(self, probability: Floats) -> str:
        """Why the evidence does not suffice; empty if it does. The threshold is the ranker's, measured by folds."""
        if len(probability) == 0:
            return "the graph has no disease to rank"
        threshold = self.model.calibration.threshold
        if (top := float(probability[0])) >= threshold:
            return ""
        return (
            f"the likeliest disease has probability {percent(top)}, and below {percent(threshold)} "
            "the leading disease is wrong more often than right"
        )

    def _find_gene(self, text: str) -> str | None:
        """Id of a gene that diseases are associated with, from its id, its symbol, or the id of its namesake."""
        if text in self._genes.values():
            return text
        return self._genes.get(self._facts.name(text).casefold())

    @cached_property
    def _genes(self) -> dict[str, str]:
        """Symbol → id of all genes that diseases are associated with."""
        genes = sorted({gene for of in self.annotations.disease_genes for gene in of})
        return {self._facts.name(gene).casefold(): gene for gene in genes}


def version_of(ranker: Ranker) -> str:
    """Hash of a ranker's card."""
    return hashlib.blake2b(orjson.dumps(ranker.card, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def same_annotations(one: PhenotypeAnnotations, other: PhenotypeAnnotations) -> bool:
    """Whether two sets of annotations say the same, so that what is derived from one serves for the other."""
    return all(_same(getattr(one, name), getattr(other, name)) for name in one.__slots__ if name != "rows") and all(
        _same(getattr(one.rows, name), getattr(other.rows, name)) for name in one.rows.__slots__
    )


def _same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one == other
