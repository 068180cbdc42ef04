"""Which reader a file or folder is for, by its names and by how its content begins."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

from ingestion.readers.base import READERS, get_reader, unreadable
from ingestion.readers.parquet import parquet_columns
from kg.errors import InputError

_HEAD = 1 << 16
"""Bytes that are looked at."""
_MOST_FILES = 200
"""Files of a folder that are looked at."""


def _keys(*names: str) -> Callable[[str], bool]:
    """Whether a JSON text has all these keys."""
    patterns = [re.compile(rf'"{name}"\s*:') for name in names]
    return lambda head: all(pattern.search(head) for pattern in patterns)


_BY_NAME = (
    ("hpo", r"(hp\.obo|phenotype\.hpoa|genes_to_phenotype\.txt)$"),
    ("kgat", r"(^|/)(kg_final|relation_list|entity_list|item_list|user_list)\.txt$"),
    ("sumo_net", r"\.(net|add)\.xml(\.gz)?$"),
    ("interactions", r"\.inter$"),
    ("items", r"\.(item|user)$"),
    ("recbole_kg", r"\.(kg|link)$"),
    ("rdf", r"\.(ttl|nt|nq|trig|jsonld|rdf|owl)$"),
    ("graphml", r"\.graphml$"),
    ("series", r"\.npz$"),
    ("phenopackets", r"\.(pb|zip|tar|tar\.xz|tar\.gz|tgz|tar\.bz2)$"),
)
_BY_JSON = (
    ("fhir", _keys("resourceType")),
    ("phenopackets", _keys("phenotypicFeatures")),
    ("openlabel", _keys("openlabel")),
    ("coco", _keys("image_id", "bbox")),
    ("coco", _keys("images", "annotations")),
    ("coco", _keys("images", "file_name")),
    ("frigate", _keys("before", "after", "camera")),
    ("frigate", _keys("camera", "label", "has_snapshot")),
    ("deepstream", _keys("@timestamp", "sensorId", "objects")),
    ("deepstream", _keys("@timestamp", "mdsversion")),
    ("vias", _keys("event_type", "stream_id", "task_id")),
    ("neo4j_json", lambda head: bool(re.search(r'"type"\s*:\s*"(node|relationship)"', head))),
    ("neo4j_json", _keys("identity", "labels")),
    ("scenes", _keys("actions", "reason")),
    ("scenes", _keys("justification")),
)
_BY_XML = (
    ("onvif", r"MetadataStream"),
    ("graphml", r"<graphml\b"),
    ("sumo_net", r"<(net|additional)\b"),
    ("sumo_outputs", r"<(meandata|fcd-export|detector|e1-detector|e1Detector|interval|timestep)\b"),
    ("rdf", r"<rdf:RDF\b"),
)
_LLM = re.compile(
    r"""```|<\|>|\(\s*["']?(entity|relationship)["']?|\[\s*[\[(]\s*["']|"""
    r"""["']?(subject|head|triples?|triplets|relationships|choices|candidates|output|response|completion)["']?\s*:|"""
    r"""["']nodes["']\s*:.*["'](edges|relationships)["']\s*:|["']role["']\s*:\s*["']assistant["']""",
    re.DOTALL | re.IGNORECASE,
)
"""What answers of language models begin with, or have in them; other texts and JSON may be anything."""
_YOLO = re.compile(r"(\d+([ \t]+-?[\d.eE+-]+){4,}\s*(\n|$))+")
_MOT = re.compile(r"(\s*-?\d+\s*(,\s*-?[\d.eE+-]+\s*){5,9}(\n|$))+")
_PACKET = re.compile(
    r"^[\s{]*[\"']?(phenotypic_?features|meta_?data|proband|members)[\"']?\s*:", re.MULTILINE | re.IGNORECASE
)
"""What a Phenopacket in YAML has; other YAML explains the files beside it."""
_USER = re.compile(r"user|customer|visitor|member", re.IGNORECASE)
_ITEM = re.compile(r"item|product|movie|sku|asin|business", re.IGNORECASE)
_TIME = re.compile(r"(^|[^a-z])(date)?time(stamp)?|(^|[^a-z])(date|stamp)|Time|Date|时间|日期", re.ASCII)


def guess_reader(path: Path) -> str:
    """Name of the reader for a file, or for all files of a folder.

    Raises:
        InputError: the path can't be read; no reader, or several, may be meant.
    """
    try:
        if not path.is_dir():
            found = _of_file(path)
            if found is None:
                raise InputError(f"which format is this? Name a reader: {', '.join(sorted(READERS))}", str(path))
            return found
        files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        guesses = {guess for file in files[:_MOST_FILES] if (guess := _of_file(file)) is not None}
    except OSError as error:
        raise unreadable(path, error) from error
    if "kgat" in guesses:  # its other lists look like something else
        return "kgat"
    if len(guesses) != 1:
        what = f"files of several formats ({', '.join(sorted(guesses))})" if guesses else "no file of a known format"
        raise InputError(f"{what} inside; name a reader", str(path))
    return guesses.pop()


def _of_file(path: Path) -> str | None:
    name = path.as_posix().lower()
    found = next((reader for reader, pattern in _BY_NAME if re.search(pattern, name)), None)
    if found is None:
        found = _of_content(path, name)
    if found is None or found not in READERS or not name.endswith(get_reader(found).extensions):
        return None
    return found


def _of_content(path: Path, name: str) -> str | None:
    if any(path.with_name(mapping).exists() for mapping in ("mapping.yaml", "mapping.yml", f"{path.name}.yaml")):
        return "table"
    if name.endswith(".parquet"):
        try:
            return _of_columns(parquet_columns(path))
        except ValueError as error:
            raise InputError(str(error), str(path)) from error
    head = _head(path)
    start = head.lstrip("\ufeff \t\r\n")
    if name.endswith((".csv", ".tsv")):
        return _of_columns(re.split(r"[,;\t]", start.partition("\n")[0]))
    if start.startswith("<"):
        return next((reader for reader, pattern in _BY_XML if re.search(pattern, head)), None)
    if start.startswith(("{", "[")):
        found = next((reader for reader, fits in _BY_JSON if fits(head)), None)
        return found or ("llm_triples" if _LLM.search(head) else None)
    if name.endswith((".yaml", ".yml")):
        return "phenopackets" if _PACKET.search(head) else None
    if name.endswith(".txt"):
        lines = "\n".join(line for line in head.splitlines()[:20] if line.strip() and not line.startswith("#"))
        if _YOLO.fullmatch(lines):
            return "yolo"
        if _MOT.fullmatch(lines):
            return "mot"
    return "llm_triples" if name.endswith((".txt", ".md")) and _LLM.search(head) else None


def _of_columns(columns: list[str]) -> str | None:
    user, item, time = (any(pattern.search(column) for column in columns) for pattern in (_USER, _ITEM, _TIME))
    if item:
        return "interactions" if user else "items"
    return "series" if time else None


def _head(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_HEAD)
        if raw.startswith(b"\x1f\x8b"):
            file.seek(0)
            try:
                raw = gzip.GzipFile(fileobj=file).read(_HEAD)
            except (OSError, EOFError):
                raw = b""
    return raw.decode("utf-8", "replace")
