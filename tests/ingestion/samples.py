"""Small files in the shape of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SHARED = Path(__file__).parents[3] / "shared" / "data"
PUBLISHED_CASES = SHARED / "medical" / "phenopackets_dev.tar.xz"

OBO = """format-version: 1.2
data-version: hp/releases/2025-01-16

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0000118
name: Phenotypic abnormality
is_a: HP:0000001 ! All

[Term]
id: HP:0001250
name: Seizure
alt_id: HP:0002279
alt_id: HP:0009999
def: "A \\"seizure\\" is an event." [HPO:probinson]
synonym: "Epileptic seizure" EXACT layperson []
synonym: "Fits" RELATED []
xref: UMLS:C0036572
is_a: HP:0000118 {source="x"} ! Phenotypic abnormality

[Term]
id: HP:0001251
name: Ataxia
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:0002279
name: obsolete Old seizure
is_obsolete: true
replaced_by: HP:0001250

[Term]
id: HP:0000535
name: obsolete Seizure and ataxia
is_obsolete: true
replaced_by: HP:0001250
replaced_by: HP:0001251

[Term]
id: HP:0007777
name: obsolete Advice only
is_obsolete: true
consider: HP:0001251

[Term]
id: HP:0000005
name: Mode of inheritance
is_a: HP:0000001 ! All

[Term]
id: HP:0000006
name: Autosomal dominant inheritance
is_a: HP:0000005 ! Mode of inheritance

[Term]
id: HP:0012823
name: Clinical modifier
is_a: HP:0000001 ! All

[Term]
id: HP:0012825
name: Mild
is_a: HP:0012823 ! Clinical modifier

[Term]
id: HP:0031797
name: Clinical course
is_a: HP:0012823 ! Clinical modifier

[Term]
id: HP:0003674
name: Onset
is_a: HP:0031797 ! Clinical course

[Term]
id: HP:0003577
name: Congenital onset
is_a: HP:0003674 ! Onset

[Term]
id: HP:0030674
name: Antenatal onset
is_a: HP:0003674 ! Onset

[Term]
id: HP:0040279
name: Frequency
is_a: HP:0000001 ! All

[Term]
id: HP:0040283
name: Occasional
is_a: HP:0040279 ! Frequency

[Term]
id: HP:0032443
name: Past medical history
is_a: HP:0000001 ! All

[Typedef]
id: part_of
name: part of
"""

HPOA_HEAD = (
    '#description: "HPO annotations for rare diseases"\n#version: 2025-01-16\n'
    "database_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\tonset\tfrequency\tsex\tmodifier\taspect\t"
    "biocuration\n"
)
GENES_HEAD = "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id\n"


def hpoa_row(
    disease: str = "OMIM:619340",
    name: str = "Developmental and epileptic encephalopathy 96",
    qualifier: str = "",
    term: str = "HP:0001250",
    reference: str = "PMID:31675180",
    evidence: str = "PCS",
    onset: str = "",
    frequency: str = "",
    sex: str = "",
    modifier: str = "",
    aspect: str = "P",
    curator: str = "HPO:probinson[2021-06-21]",
) -> str:
    cells = (disease, name, qualifier, term, reference, evidence, onset, frequency, sex, modifier, aspect, curator)
    return "\t".join(cells) + "\n"


HPOA = HPOA_HEAD + "".join(
    (
        hpoa_row(frequency="1/2"),
        hpoa_row(term="HP:0001251", frequency="HP:0040283", onset="HP:0003577", sex="MALE", modifier="HP:0012825"),
        hpoa_row(term="HP:0000006", aspect="I", evidence="TAS", reference="OMIM:619340"),
        hpoa_row(term="HP:0003577", aspect="C", evidence="IEA", reference="OMIM:619340"),
        hpoa_row("ORPHA:1777", "Temtamy syndrome", "NOT", frequency="45%", reference="ORPHA:1777", evidence="TAS"),
        hpoa_row("ORPHA:1777", "Temtamy's syndrome", reference="PMID:1;PMID:2", frequency="7/12"),
        hpoa_row("ORPHA:1777", "Temtamy syndrome", term="HP:0001251", reference="http://a.org/b", frequency="0/7"),
    )
)
GENES = GENES_HEAD + (
    "16\tAARS1\tHP:0001250\tSeizure\t1/2\tOMIM:619340\n"
    "16\tAARS1\tHP:0001251\tAtaxia\t-\tOMIM:619340\n"
    "17\t-\tHP:0001250\tSeizure\t-\tORPHA:1777\n"
)


def write_hpo(folder: Path, obo: str = OBO, hpoa: str = HPOA, genes: str = GENES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hp.obo").write_text(obo, encoding="utf-8")
    (folder / "phenotype.hpoa").write_text(hpoa, encoding="utf-8")
    (folder / "genes_to_phenotype.txt").write_text(genes, encoding="utf-8")
    return folder


def packet(id_: str = "PMID_1_Case 1", **changes: Any) -> dict[str, Any]:
    """A v2 Phenopacket."""
    return {
        "id": id_,
        "subject": {
            "id": "Case 1",
            "alternateIds": ["II-3"],
            "sex": "FEMALE",
            "timeAtLastEncounter": {"age": {"iso8601duration": "P1Y8M"}},
            "vitalStatus": {"status": "DECEASED"},
        },
        "phenotypicFeatures": [
            {
                "type": {"id": "HP:0001250", "label": "Seizure"},
                "onset": {"age": {"iso8601duration": "P10M"}},
                "severity": {"id": "HP:0012825", "label": "Mild"},
                "modifiers": [{"id": "HP:0012825", "label": "Mild"}],
                "evidence": [{"evidenceCode": {"id": "ECO:0000033"}, "reference": {"id": "PMID:9"}}],
                "resolution": {"age": {"iso8601duration": "P2Y"}},
            },
            {"type": {"id": "HP:0001251", "label": "Ataxia"}, "excluded": True},
        ],
        "interpretations": [
            {
                "id": "i1",
                "progressStatus": "SOLVED",
                "diagnosis": {
                    "disease": {"id": "OMIM:613454", "label": "Rett syndrome, congenital variant"},
                    "genomicInterpretations": [
                        {
                            "subjectOrBiosampleId": "Case 1",
                            "interpretationStatus": "CAUSATIVE",
                            "variantInterpretation": {
                                "variationDescriptor": {
                                    "id": "v1",
                                    "geneContext": {"valueId": "HGNC:3811", "symbol": "FOXG1"},
                                    "expressions": [
                                        {"syntax": "hgvs.g", "value": "NC_000014.9:g.28768137dup"},
                                        {"syntax": "hgvs.c", "value": "NM_005249.5:c.858dup"},
                                    ],
                                }
                            },
                        }
                    ],
                },
            }
        ],
        "diseases": [
            {
                "term": {"id": "OMIM:613454", "label": "Rett syndrome, congenital variant"},
                "onset": {"ontologyClass": {"id": "HP:0003577", "label": "Congenital onset"}},
            },
            {"term": {"id": "Orphanet:778", "label": "Rett syndrome"}, "excluded": True},
        ],
        "metaData": {
            "created": "2025-10-26T06:19:46.912113Z",
            "createdBy": "x",
            "phenopacketSchemaVersion": "2.0.2",
            "resources": [],
            "externalReferences": [{"id": "PMID:28851325", "description": "Novel FOXG1  mutations"}],
        },
    } | changes


def packet_v1(id_: str = "old-1", **changes: Any) -> dict[str, Any]:
    """A v1 Phenopacket."""
    return {
        "id": id_,
        "subject": {"id": "P7", "ageAtCollection": {"age": "P7Y"}, "sex": "MALE"},
        "phenotypicFeatures": [
            {"type": {"id": "HP:0001250"}, "classOfOnset": {"id": "HP:0003577"}},
            {
                "type": {"id": "HP:0001251"},
                "negated": True,
                "ageRangeOfOnset": {"start": {"age": "P1Y"}, "end": {"age": "P2Y"}},
            },
        ],
        "genes": [{"id": "HGNC:3811", "symbol": "FOXG1"}],
        "variants": [{"hgvsAllele": {"hgvs": "NM_005249.5:c.858dup"}}],
        "diseases": [{"term": {"id": "OMIM:613454"}, "ageOfOnset": {"age": "P1Y"}}],
        "metaData": {"created": "2019-01-01T00:00:00Z", "createdBy": "x", "phenopacketSchemaVersion": "1.0.0"},
    } | changes


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
