"""A small HPO: a few findings and diseases."""

from __future__ import annotations

from pathlib import Path

_TERMS = {
    "HP:0000001": ("All", ()),
    "HP:0000118": ("Phenotypic abnormality", ("HP:0000001",)),
    "HP:0000707": ("Abnormality of the nervous system", ("HP:0000118",)),
    "HP:0001250": ("Seizure", ("HP:0000707",)),
    "HP:0020219": ("Motor seizure", ("HP:0001250",)),
    "HP:0001251": ("Ataxia", ("HP:0000707",)),
    "HP:0001263": ("Global developmental delay", ("HP:0000707",)),
    "HP:0000252": ("Microcephaly", ("HP:0000118",)),
    "HP:0001627": ("Abnormal heart morphology", ("HP:0000118",)),
    "HP:0001631": ("Atrial septal defect", ("HP:0001627",)),
    "HP:0001166": ("Arachnodactyly", ("HP:0000118",)),
    "HP:0000005": ("Mode of inheritance", ("HP:0000001",)),
    "HP:0000006": ("Autosomal dominant inheritance", ("HP:0000005",)),
    "HP:0000007": ("Autosomal recessive inheritance", ("HP:0000005",)),
    "HP:0012823": ("Clinical modifier", ("HP:0000001",)),
    "HP:0031797": ("Clinical course", ("HP:0012823",)),
    "HP:0003674": ("Onset", ("HP:0031797",)),
    "HP:0003593": ("Infantile onset", ("HP:0003674",)),
    "HP:0040279": ("Frequency", ("HP:0000001",)),
    "HP:0040281": ("Very frequent", ("HP:0040279",)),
    "HP:0032443": ("Past medical history", ("HP:0000001",)),
}
_DISEASES = {
    "OMIM:100001": ("Seizure-ataxia disease", {"HP:0020219": "9/10", "HP:0001251": "4/10", "HP:0001263": "8/10"}),
    "OMIM:100002": ("Heart-hand disease", {"HP:0001631": "5/6", "HP:0001166": "HP:0040281"}),
    "OMIM:100003": ("Small head disease", {"HP:0000252": "3/3", "HP:0001263": "2/3", "HP:0001250": "1/3"}),
    "ORPHA:9001": ("Rare seizure disease", {"HP:0001250": "90%"}),
}
_HEAD = (
    '#description: "HPO annotations for rare diseases"\n#version: 2025-01-16\n'
    "database_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\tonset\tfrequency\tsex\tmodifier\taspect\t"
    "biocuration\n"
)


def write_sample(folder: Path) -> Path:
    """Writes the three files of an HPO release."""
    stanzas = []
    for id_, (name, parents) in _TERMS.items():
        synonym = 'synonym: "Fits" EXACT []\n' if id_ == "HP:0001250" else ""
        is_a = "".join(f"is_a: {parent}\n" for parent in parents)
        stanzas.append(f"[Term]\nid: {id_}\nname: {name}\n{synonym}{is_a}")
    obo = "format-version: 1.2\ndata-version: hp/releases/2025-01-16\n\n" + "\n".join(stanzas)
    rows = []
    for number, (id_, (name, findings)) in enumerate(_DISEASES.items()):
        for term, frequency in findings.items():
            rows.append(_row(id_, name, term, f"PMID:{1000 + number}", frequency, "P"))
        rows.append(_row(id_, name, "HP:0000006" if number % 2 else "HP:0000007", id_, "", "I"))
        rows.append(_row(id_, name, "HP:0003593", id_, "", "C"))
    genes = "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id\n"
    genes += "16\tAARS1\tHP:0020219\tMotor seizure\t9/10\tOMIM:100001\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hp.obo").write_text(obo, encoding="utf-8")
    (folder / "phenotype.hpoa").write_text(_HEAD + "".join(rows), encoding="utf-8")
    (folder / "genes_to_phenotype.txt").write_text(genes, encoding="utf-8")
    return folder


def _row(disease: str, name: str, term: str, reference: str, frequency: str, aspect: str) -> str:
    cells = (disease, name, "", term, reference, "PCS", "", frequency, "", "", aspect, "HPO:x[2021-06-21]")
    return "\t".join(cells) + "\n"


def packet(id_: str = "case-1", disease: str = "OMIM:100001") -> dict[str, object]:
    """A Phenopacket of schema v2."""
    return {
        "id": id_,
        "subject": {"id": "A", "sex": "FEMALE", "timeAtLastEncounter": {"age": {"iso8601duration": "P3Y"}}},
        "phenotypicFeatures": [
            {"type": {"id": "HP:0001250", "label": "Seizure"}},
            {"type": {"id": "HP:0001251", "label": "Ataxia"}},
            {"type": {"id": "HP:0001631", "label": "Atrial septal defect"}, "excluded": True},
        ],
        "interpretations": [
            {"id": "i", "progressStatus": "SOLVED", "diagnosis": {"disease": {"id": disease, "label": "?"}}}
        ],
        "metaData": {
            "created": "2025-10-26T06:19:46Z",
            "createdBy": "x",
            "phenopacketSchemaVersion": "2.0.2",
            "resources": [],
            "externalReferences": [{"id": "PMID:77", "description": "A report"}],
        },
    }
