"""English words and their normal forms: spelling, plural, and endings that change nothing of what is meant."""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import combining, normalize

import snowballstemmer

TOKEN = re.compile(r"[^\W\d_]+(?:['’]s\b)?|\d+|[^\s\w]|_")
"""A word, a number, or one mark."""
EMPTY = frozenset("of the a an in to on at by for from".split())  # noqa: SIM905 (read as a line)
"""Words that names are alike without."""
_BRITISH = tuple(
    (re.compile(pattern), american)
    for pattern, american in (
        ("aem", "em"),
        ("oed", "ed"),
        ("oes", "es"),
        ("our$", "or"),
        ("isation", "ization"),
        ("ise$", "ize"),
        ("paed", "ped"),
        ("rrhoe", "rrhe"),
        ("pnoea", "pnea"),
        ("caec", "cec"),
        ("foet", "fet"),
        ("gynae", "gyne"),
        ("leuc", "leuk"),
    )
)
_FAMILIES = tuple(
    re.compile(f"({stem})(?:{'|'.join(endings.split())})$")
    for stem, endings in (
        ("plas", "ia tic tically"),
        ("troph", "y ic ies ied"),
        ("cephal", "y ic ia us"),
        ("gnath", "ia ic ism y"),
        ("dactyl", "y ia ous ism"),
        ("em", "ia ic ias"),
        ("uri", "a c"),
        ("path", "y ic ies"),
        ("ten", "sion sive"),
        ("ton", "ia ic us"),
        ("opi", "a c"),
        ("kines", "ia ic is"),
        ("sten", "osis otic oses"),
        ("scler", "osis otic oses"),
        ("os", "is es"),
        ("tax", "ia ic"),
        ("pleg", "ia ic"),
        ("lep", "sy tic sies tics"),
        ("spas", "tic ticity m ms"),
        ("arrhythm", "ia ic ias"),
        ("retard", "ation ed"),
        ("abnormal", "ity ities ly"),
        ("anomal", "y ies ous"),
        ("malform", "ation ations ed"),
        ("deform", "ity ities ed"),
        ("enlarge", "d ment"),
        ("delay", "ed s"),
        ("deficien", "cy t cies"),
        ("insufficien", "cy t"),
        ("absen", "t ce"),
        ("peni", "a c"),
        ("obes", "e ity"),
        ("activ", "e ity"),
        ("mobil", "e ity"),
        ("lax", "ity"),
        ("rigid", "ity"),
        ("aggress", "ive ion"),
        ("depress", "ed ion ive"),
        ("anxi", "ety ous"),
        ("atroph", "y ic ies"),
        ("dystroph", "y ic ies"),
        ("fibr", "osis otic"),
        ("cyan", "osis otic"),
        ("scoli", "osis otic"),
        ("kyph", "osis otic"),
        ("thromb", "osis otic oses"),
        ("asthm", "a atic"),
        ("autis", "m tic"),
        ("dysmorph", "ism ic isms ia"),
    )
)
"""Nouns and adjectives of one stem, mostly Greek: hypoplasia and hypoplastic, microcephaly and microcephalic."""
_WHOLE = frozenset({"abnormal", "delay", "lax", "rigid"})
_IRREGULAR = {
    "teeth": "tooth",
    "feet": "foot",
    "vertebrae": "vertebra",
    "vertebral": "vertebra",
    "children": "child",
    "testes": "testis",
    "phalanges": "phalanx",
    "phalangeal": "phalanx",
    "nevi": "nevus",
    "naevi": "nevus",
    "naevus": "nevus",
    "septa": "septum",
    "cilia": "cilium",
    "maxillae": "maxilla",
    "pinnae": "pinna",
    "fistulae": "fistula",
    "bullae": "bulla",
    "diaphyses": "diaphysis",
    "diaphyseal": "diaphysis",
    "metaphyses": "metaphysis",
    "metaphyseal": "metaphysis",
    "epiphyses": "epiphysis",
    "epiphyseal": "epiphysis",
}
_PLURALS = (
    (re.compile("(ss|us|is)$"), r"\1"),
    (re.compile("ies$"), "y"),
    (re.compile("(ch|sh|x|ss)es$"), r"\1"),
    (re.compile("s$"), ""),
)
_STEMMER = snowballstemmer.stemmer("english")


@lru_cache(maxsize=200_000)
def lemma(word: str) -> str:
    """What a word is but for case, number, British spelling and the endings of its family: safe for a word alone."""
    found = word.casefold().replace("’", "'").removesuffix("'s")
    if not found.isascii():
        found = "".join(letter for letter in normalize("NFKD", found) if not combining(letter))
    found = _IRREGULAR.get(found, found)
    for pattern, american in _BRITISH:
        found = pattern.sub(american, found)
    if found in _WHOLE:
        return f"{found}~"
    for family in _FAMILIES:
        if (stem := family.sub(r"\1~", found)) != found:
            return stem
    if len(found) > 3:
        for pattern, singular in _PLURALS:
            found, count = pattern.subn(singular, found)
            if count:
                break
    return found


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """The lemma without most endings (Porter's second stemmer): safe for a word among others of a name."""
    found = lemma(word)
    if found.endswith("~"):
        return found
    found = str(_STEMMER.stemWord(found))
    return found[:-1] if len(found) > 5 and found[-1] in "ia" else found


def content_words(name: str) -> list[str]:
    """The words and numbers of a name that count."""
    return [token for token in TOKEN.findall(name) if token[0].isalnum() and token.casefold() not in EMPTY]
