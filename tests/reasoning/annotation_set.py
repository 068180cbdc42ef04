"""Annotations in a few lines of text, for tests of the parts of the diagnosis."""

from __future__ import annotations

import numpy as np

from reasoning.diagnosis.annotations import (
    AnnotationRows,
    Aspect,
    PhenotypeAnnotations,
    build_annotations,
    stated_frequency,
)

IS_A = """
HP:0000118 HP:0000001
HP:0000005 HP:0000001
HP:0001417 HP:0000005
HP:0012823 HP:0000001
HP:0003577 HP:0012823
HP:0003581 HP:0012823
HP:1000000 HP:0000118
HP:1000001 HP:1000000
HP:1000002 HP:1000000
HP:1000003 HP:1000001
HP:2000000 HP:0000118
HP:2000001 HP:2000000
HP:2000002 HP:2000000
HP:3000000 HP:0000118
HP:3000001 HP:3000000
"""

ROWS = """
OMIM:1 HP:1000003 PMID:1 P 9/10
OMIM:1 HP:2000001 PMID:1 P 5/10
OMIM:1 HP:3000001 PMID:1 P 0/10
OMIM:1 HP:1000003 PMID:2 P 1/2
OMIM:1 HP:2000002 OMIM:1 P
OMIM:1 HP:0003577 PMID:1 C
OMIM:1 HP:0001417 PMID:1 I
OMIM:2 HP:1000002 PMID:3 P 4/4
OMIM:2 HP:3000001 PMID:3 P 3/4
OMIM:2 HP:0003581 PMID:3 C
OMIM:3 HP:2000001 PMID:1 P 2/2
OMIM:3 HP:2000002 OMIM:3 P HP:0040283
OMIM:4 HP:3000001 OMIM:4 P 50%
OMIM:5 HP:1000002 OMIM:5 P
ORPHA:1 HP:3000001 ORPHA:1 P HP:0040281
ORPHA:1 HP:1000003 ORPHA:1 P HP:0040281
"""

NAMES = {
    "OMIM:1": "Alpha-Beta syndrome 1",
    "OMIM:2": "Alpha-Beta syndrome 2",
    "OMIM:3": "Gamma disease",
    "OMIM:4": "Delta dysplasia",
    "OMIM:5": "Epsilon anomaly",
    "OMIM:6": "Nothing known",
    "ORPHA:1": "Alpha-Beta syndrome type I",
}

GENES = [("OMIM:1", "GENE:1"), ("OMIM:3", "GENE:1"), ("OMIM:2", "GENE:2"), ("ORPHA:1", "GENE:1")]

_ASPECTS = {"P": Aspect.PHENOTYPE, "I": Aspect.INHERITANCE, "C": Aspect.COURSE}


def annotation_set(rows: str = ROWS, is_a: str = IS_A) -> PhenotypeAnnotations:
    """The annotations that the texts above say."""
    edges = [tuple(line.split()) for line in is_a.strip().splitlines()]
    terms = sorted({id_ for edge in edges for id_ in edge})
    lines = [line.split() for line in rows.strip().splitlines()]
    diseases = sorted({*NAMES, *(line[0] for line in lines)})
    sources = sorted({line[2] for line in lines})
    stated = []
    for _, _, _, _, *frequency in lines:
        text = frequency[0] if frequency else ""
        qualifiers: dict[str, object] = {}
        if "/" in text:
            qualifiers["frequency_numerator"], qualifiers["frequency_denominator"] = map(int, text.split("/"))
        elif text.endswith("%"):
            qualifiers["frequency_percent"] = float(text[:-1])
        elif text:
            qualifiers["frequency_term"] = text
        stated.append(stated_frequency(qualifiers, excluded=text.startswith("0/")))
    numerator, denominator, share, excluded = (np.array(column) for column in zip(*stated, strict=True))
    return build_annotations(
        terms=[(id_, f"term {id_}") for id_ in terms],
        is_a=[(child, parent) for child, parent in edges],
        replaced_by={"HP:9999999": "HP:1000003"},
        diseases=[(id_, NAMES.get(id_, id_)) for id_ in diseases],
        genes=GENES,
        sources=sources,
        rows=AnnotationRows(
            np.array([diseases.index(line[0]) for line in lines]),
            np.array([terms.index(line[1]) for line in lines]),
            np.array([sources.index(line[2]) for line in lines]),
            np.array([int(_ASPECTS[line[3]]) for line in lines]),
            numerator,
            denominator,
            share,
            excluded,
        ),
    )


def many_diseases(diseases: int = 40, findings: int = 60, seed: int = 3) -> PhenotypeAnnotations:
    """A larger set without relatives: each disease has eight of the findings, counted in two publications."""
    rng = np.random.default_rng(seed)
    groups = [f"HP:{4000000 + 1000 * group}" for group in range(10)]
    terms = [f"HP:{4000000 + 1000 * (at % 10) + 1 + at}" for at in range(findings)]
    is_a = IS_A + "".join(f"{group} HP:0000118\n" for group in groups)
    is_a += "".join(f"{term} {groups[at % 10]}\n" for at, term in enumerate(terms))
    rows = []
    for disease in range(100, 100 + diseases):
        own = rng.choice(findings, 8, replace=False)
        for source in (2 * disease, 2 * disease + 1):
            rows += [f"OMIM:{disease} {terms[at]} PMID:{source} P {rng.integers(2, 6)}/6" for at in own]
    return annotation_set("\n".join(rows), is_a)
