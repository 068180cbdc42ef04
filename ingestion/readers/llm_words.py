"""The words that language models use for the parts of a triple, and their names without what is mere writing."""

from __future__ import annotations

import re
from functools import lru_cache

Names = dict[str, int]
"""Plain keys, each with its rank: of several in one object, the first counts."""


def _names(text: str) -> Names:
    return {name: rank for rank, name in enumerate(text.split())}


def _joined(bases: Names, *endings: str) -> Names:
    return _names(" ".join(base + ending for ending in endings for base in bases))


_SUBJECT = _names(
    "subject subj s head h source src from entity1 e1 start startnode node1 arg1 argument1 subjectentity headentity "
    "sourceentity sourcenode fromnode entitya nodea 主体 主语 头实体 实体1 起点"
)
_OBJECT = _names(
    "object obj o tail t target tgt to entity2 e2 end endnode node2 arg2 argument2 objectentity tailentity "
    "targetentity targetnode tonode entityb nodeb 客体 宾语 尾实体 实体2 终点"
)
SUBJECTS = _joined(_SUBJECT, "", "name", "id")
OBJECTS = _joined(_OBJECT, "", "name", "id")
_TYPE = ("type", "class", "category", "entitytype", "类型")
SUBJECT_TYPES, OBJECT_TYPES = _joined(_SUBJECT, *_TYPE), _joined(_OBJECT, *_TYPE)
SUBJECT_IDS, OBJECT_IDS = _joined(_SUBJECT, "id", "curie"), _joined(_OBJECT, "id", "curie")
RELATIONS = _names(
    "predicate pred p relation rel r relationship relationtype relationshiptype reltype relationname relationshipname "
    "predicatename edge edgelabel edgetype property verb action 关系 谓语 谓词 关系类型 type label"
)
LABEL = "label"
"""Of an entity: its name or its class."""
NAMES = _names("name text value entityname entity mention title term 名称 实体")
NODE_IDS = _names("id nodeid entityid identifier curie key")
NODE_TYPES = _names(" ".join((*_TYPE, "nodetype", "labels", "types")))
DESCRIPTIONS = _names(
    "description definition entitydescription relationshipdescription relationdescription summary 描述"
)
NODES = _names("nodes entities vertices concepts 实体")
EDGES = _names("edges relationships links relations triples triplets 关系 三元组")
WRAPPERS = EDGES | _names("triple triplet output result results answer facts statements data spo")
OPAQUE = re.compile(r"(?:[A-Za-z]{0,2}|node|entity|rel|ent)[-_ ]?\d+")
_STRIPPED = re.compile(r"[\W_]+")
_BLANKS = re.compile(r"\s+")
_ESCAPED = re.compile(r"(?<!\\)\\++u([0-9a-fA-F]{4})")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\u200b\u2060]")
_WRAPS = (("**", "**"), ("__", "__"), ("`", "`"), ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"))
NOTHING = frozenset(("", "n/a", "none", "null", "nan", "-", "--", "...", "…", "?", "*", "**", "undefined", "无"))


def plain_key(key: str) -> str:
    """`head_entity`, `headEntity` and `Head Entity` → `headentity`; no more than 80 characters."""
    return _plain_key(key[:80])


@lru_cache(maxsize=10_000)
def _plain_key(key: str) -> str:
    return _STRIPPED.sub("", key).casefold()


_PLAIN = re.compile(r"[A-Za-z0-9](?: ?[A-Za-z0-9(),.:;/+%-])*")


def clean(text: str) -> str:
    r"""A name without what is mere writing: escapes (`\u7cd6`), emphasis, quotes, control characters, double blanks."""
    if _PLAIN.fullmatch(text):
        return text
    if "\\u" in text:
        text = _ESCAPED.sub(lambda m: chr(int(m[1], 16)), text)
    if not text.isascii():
        text = readable(text)
    text = _BLANKS.sub(" ", _CONTROL.sub("", text)).strip()
    for opening, closing in _WRAPS:
        if text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing):
            text = text[len(opening) : -len(closing)].strip()
    if text.count('"') == 1:
        text = text.strip('"').strip()
    return text


def readable(text: str) -> str:
    """The text with pairs of surrogates joined, and single ones replaced: it can be written as UTF-8."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
