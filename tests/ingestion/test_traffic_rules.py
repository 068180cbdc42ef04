from __future__ import annotations

from pathlib import Path

from ingestion.readers.base import get_reader
from kg.model import Claim, Entity, Rejected
from kg.ontology import Ontology
from reasoning.traffic.rules import load_rules
from tests.ingestion.test_reader_contract import ReaderContract, read_all

_GOOD = """@prefix eg: <https://w3id.org/evigraph/> . @prefix skos: <http://www.w3.org/2004/02/skos/core#> .
<https://w3id.org/evigraph/rule/own> a eg:TrafficRule ; skos:prefLabel "Own"@en, "自有"@zh ; eg:wording "Own." ;
    eg:article "House rule 1" ; eg:authority <https://w3id.org/evigraph/authority/sign> ; eg:strength 0.9 ;
    eg:when <https://w3id.org/evigraph/scene/ice> ; eg:forbids <https://w3id.org/evigraph/manoeuvre/overtake> .
<https://w3id.org/evigraph/scene/ice> a eg:SceneReason ; skos:prefLabel "Ice"@en .
"""
_BROKEN = '<https://w3id.org/evigraph/scene/nameless> a eg:SceneReason ; skos:prefLabel "冰"@zh .\n'


class TestTrafficRulesContract(ReaderContract):
    name = "traffic_rules"

    def write_good(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "own.ttl").write_text(_GOOD, encoding="utf-8")
        return folder

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        (folder / "own.ttl").write_text(_GOOD + _BROKEN, encoding="utf-8")
        return folder, "scene/nameless"


def test_what_comes_along_is_what_scenes_are_judged_by(ontology: Ontology) -> None:
    reader = get_reader("traffic_rules")
    records = [record for document in reader.documents() for record in reader.read(document)]
    assert not [record for record in records if isinstance(record, Rejected)]
    entities = [record for record in records if isinstance(record, Entity)]
    assert not [problem for entity in entities if (problem := ontology.check_entity(entity))]
    rules = [rule for rule in load_rules().rules if rule.id.startswith("rule/")]
    assert {entity.id for entity in entities if entity.classes == ("TrafficRule",)} == {
        rule.id.replace("/", ":") for rule in rules
    }
    asked = {
        (claim.subject, claim.object) for claim in records if isinstance(claim, Claim) and claim.relation == "WHEN"
    }
    assert asked == {(rule.id.replace("/", ":"), name.replace("/", ":")) for rule in rules for name in rule.when}


def test_properties(tmp_path: Path) -> None:
    folder = TestTrafficRulesContract().write_good(tmp_path / "in")
    (rule,) = [
        record
        for record in read_all(get_reader("traffic_rules"), folder)
        if isinstance(record, Entity) and record.id == "rule:own"
    ]
    assert rule.properties == {
        "name": "Own",
        "synonyms": ("自有",),
        "wording": "Own.",
        "article": ("House rule 1",),
        "authority": "sign",
        "strength": 0.9,
    }
