"""Statements and entities in the values that language models answer with, under whatever names they have there.

Each candidate in a value becomes one `Statement`, `Thing` or `Unfit`; none is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import UnionType

from ingestion.readers.llm_candidates import NO_END, Candidate, End, Statement, Thing, Unfit, shown
from ingestion.readers.llm_structure import CUT, MAX_DEPTH, STRAY, TWICE, parse_json
from ingestion.readers.llm_words import (
    DESCRIPTIONS,
    EDGES,
    LABEL,
    NAMES,
    NODE_IDS,
    NODE_TYPES,
    NODES,
    NOTHING,
    OBJECT_IDS,
    OBJECT_TYPES,
    OBJECTS,
    OPAQUE,
    RELATIONS,
    SUBJECT_IDS,
    SUBJECT_TYPES,
    SUBJECTS,
    WRAPPERS,
    Names,
    clean,
    plain_key,
)


class Items:
    """Walks through one value.

    Args:
        read_text: candidates in a string that may hold some, by its place.
        is_relation: whether a text names a relation; it makes `{"A": {"has symptom": ["B"]}}` three statements.
    """

    def __init__(
        self, read_text: Callable[[str, str], Iterator[Candidate]], is_relation: Callable[[str], bool]
    ) -> None:
        self._read_text = read_text
        self._is_relation = is_relation

    def read(self, value: object, place: str) -> Iterator[Candidate]:
        """All candidates in a value, in order."""
        yield from self._any(value, place, 0)

    def record(self, value: dict[str, object], place: str) -> Iterator[Candidate]:
        """The statements of one object that is meant as one."""
        found = list(self._object(value, place, 0))
        yield from found or [Unfit("not a triple", place, shown(value))]

    def row(self, values: list[object], place: str, text: str) -> Iterator[Candidate]:
        """The statements of subject, relation, object and, maybe, a confidence."""
        yield from _row(values, place, text)

    def _any(self, value: object, place: str, depth: int, *, listed: bool = False) -> Iterator[Candidate]:
        if depth > MAX_DEPTH:
            yield Unfit("nested too deeply", place, "")
        elif isinstance(value, Mapping):
            yield from self._object({str(k): v for k, v in value.items()}, place, depth)
        elif isinstance(value, list | tuple):
            yield from self._list(list(value), place, depth)
        elif listed and isinstance(value, str):
            found = list(self._read_text(value, place))
            yield from found or [Unfit("not a triple", place, shown(value))]
        elif listed:
            yield Unfit("not a triple", place, shown(value))

    # ---- lists ------------------------------------------------------------------------------------------------------

    def _list(self, values: list[object], place: str, depth: int) -> Iterator[Candidate]:
        rest = [v for v in values if v != CUT]
        if rest and _is_row(rest):
            if all(isinstance(v, str) for v in rest) and (found := self._texts(rest, place)):
                yield from found
            elif len(rest) < len(values):
                yield Unfit("cut off", place, shown(rest))
            else:
                yield from _row(rest, place, rest)
            return
        for n, value in enumerate(rest):
            any_ = False
            for candidate in self._any(value, here := f"{place}[{n}]", depth + 1, listed=True):
                any_ = True
                yield candidate
            if not any_ and not _says_none(value):
                cut = isinstance(value, Mapping | list | tuple) and CUT in value
                yield Unfit("cut off" if cut else "no triple in it", here, shown(value))

    def _texts(self, texts: list[object], place: str) -> list[Candidate]:
        """Statements in a list of texts such as `A -> r -> B`; none if the first holds none."""
        found: list[Candidate] = []
        for n, text in enumerate(texts):
            here = list(self._read_text(str(text), f"{place}[{n}]"))
            if not n and not any(isinstance(c, Statement) for c in here):
                return []
            found += here or [Unfit("not a triple", f"{place}[{n}]", shown(text))]
        return found

    # ---- objects ----------------------------------------------------------------------------------------------------

    def _object(self, value: dict[str, object], place: str, depth: int) -> Iterator[Candidate]:
        keys = {plain_key(k): k for k in reversed(value) if not k.startswith("\0")}
        stray = value.get(STRAY)
        if twice := value.get(TWICE):
            yield Unfit(f"key {twice!r} is there twice", place, shown(value))
        elif (edges := _edges(value, keys)) and (nodes := _first(value, keys, NODES, list | tuple | dict)):
            yield from self._graph(value, nodes, edges, place, depth)
        elif (statement := _statement(value, keys, place)) is not None:
            yield from [statement] if isinstance(statement, Unfit) else _each_object(statement, value, keys)
        elif nodes_only := _first(value, keys, NODES, list | tuple):
            for n, node in enumerate(_sequence(value[nodes_only])):
                yield _node(node, f"{_dot(place)}{nodes_only}[{n}]")
            yield from self._wrapper(value, place, depth, without={nodes_only})
        elif _is_node(value, keys):
            yield _node(value, place)
        else:
            yield from self._wrapper(value, place, depth)
        if isinstance(stray, list):
            yield from self._any([*stray], place, depth + 1)

    def _graph(self, value: dict[str, object], nodes: str, edges: str, place: str, depth: int) -> Iterator[Candidate]:
        known: dict[str, End] = {}
        opaque = False
        listed = value[nodes]
        rows = listed.items() if isinstance(listed, Mapping) else enumerate(_sequence(listed))
        for key, node in rows:
            here = f"{_dot(place)}{nodes}[{key}]"
            if key == CUT or node == CUT:
                continue
            if isinstance(listed, Mapping):
                node = {"id": key, **node} if isinstance(node, Mapping) else {"id": key, "name": node}
            thing = _node(node, here)
            if isinstance(thing, Thing):
                id_ = _node_id(node)
                opaque = opaque or (bool(id_) and id_ != thing.end.text)
                if id_ and id_ in known and known[id_] != thing.end:
                    thing = Unfit(f"node id {id_!r} is there twice", here, shown(node))
                else:
                    known |= {name: thing.end for name in (thing.end.text, id_) if name}
            yield thing
        if CUT in value:
            opaque = True  # the nodes that are missing may have been still to come
        for n, edge in enumerate(_sequence(value[edges])):
            if edge == CUT:
                continue
            here = f"{_dot(place)}{edges}[{n}]"
            for found in self._any(edge, here, depth + 1, listed=True):
                yield _linked(found, known, opaque=opaque) if isinstance(found, Statement) else found
        yield from self._wrapper(value, place, depth, without={nodes, edges})

    def _wrapper(
        self, value: dict[str, object], place: str, depth: int, without: set[str] | None = None
    ) -> Iterator[Candidate]:
        """The candidates in an object that is none itself; its subject is theirs, where they have none."""
        keys = {plain_key(k): k for k in reversed(value)}
        subject = value.get(_pick(keys, SUBJECTS))
        if not without and (grouped := self._grouped(value, place)):
            yield from grouped
            return
        for key, child in value.items():
            here = f"{_dot(place)}{key}"
            if key.startswith("\0") or (without and key in without):
                continue
            is_wrapper = plain_key(key) in WRAPPERS and not (
                without and plain_key(key) in EDGES and not _is_items(child)
            )
            if isinstance(child, str):
                if is_wrapper or child.lstrip()[:1] in ("[", "{"):
                    yield from self._read_text(child, here)
            elif isinstance(child, Mapping) or _is_items(child) or (is_wrapper and isinstance(child, list | tuple)):
                child = _inherited(subject, child) if isinstance(child, list | tuple) else child
                if plain_key(key) in EDGES and isinstance(child, list):
                    yield from (_without_nodes(c) for c in self._any(child, here, depth + 1))
                else:
                    yield from self._any(child, here, depth + 1)

    def _grouped(self, value: dict[str, object], place: str) -> list[Candidate]:
        """`{"A": {"has symptom": ["B", "C"]}}` as statements; none if it is something else."""
        if not value or not all(
            isinstance(r, Mapping) and r and all(self._is_relation(str(k)) for k in r if k != CUT)
            for s, r in value.items()
            if s != CUT
        ):
            return []
        found: list[Candidate] = []
        for subject, relations in value.items():
            if not isinstance(relations, Mapping):
                continue
            for relation, objects in relations.items():
                here = f"{_dot(place)}{subject}.{relation}"
                for object_ in _sequence(objects) if isinstance(objects, list | tuple) else [objects]:
                    if relation == CUT or object_ == CUT:
                        continue
                    row = [subject, relation, object_]
                    found += _row(row, here, row)
        return found


def _inherited(subject: object, children: list[object] | tuple[object, ...]) -> list[object]:
    """The children of an object, with its subject where they have none of their own."""
    if not isinstance(subject, str):
        return list(children)
    return [
        {**c, "subject": subject}
        if isinstance(c, Mapping) and not SUBJECTS.keys() & {plain_key(str(k)) for k in c}
        else c
        for c in children
    ]


def _without_nodes(candidate: Candidate) -> Candidate:
    """An edge whose ends are numbers says nothing where no nodes are."""
    return _linked(candidate, {}, opaque=True) if isinstance(candidate, Statement) else candidate


def _says_none(value: object) -> bool:
    """Whether an object says itself that it holds no triple: `{"sentence": "…", "triples": []}`."""
    return isinstance(value, Mapping) and any(isinstance(v, list | tuple) and not v for v in value.values())


def _dot(place: str) -> str:
    return f"{place}." if place else ""


def _sequence(value: object) -> list[object]:
    return [v for v in value if v != CUT] if isinstance(value, list | tuple) else []


def _is_items(value: object) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(v, list | tuple | Mapping) for v in value)


def _pick(keys: dict[str, str], names: Names) -> str:
    """The first of these keys that is there, as it is written; empty if none is."""
    first = min((names[k] for k in keys if k in names), default=-1)
    return next(keys[k] for k in keys if names.get(k) == first) if first >= 0 else ""


def _first(value: dict[str, object], keys: dict[str, str], names: Names, types: type | UnionType) -> str:
    """As `_pick`, of those whose values have one of these types."""
    return _pick({k: v for k, v in keys.items() if k in names and isinstance(value[v], types)}, names)


def _edges(value: dict[str, object], keys: dict[str, str]) -> str:
    """The key of the edges; a list of their names may stand beside them (`"edges": ["causes"]`)."""
    with_items = {k: v for k, v in keys.items() if _is_items(value[v])}
    return _first(value, with_items, EDGES, list | tuple) or _first(value, keys, EDGES, list | tuple)


def _is_row(values: list[object]) -> bool:
    """Whether a list is a triple, or meant as one, rather than a list of them."""
    return not isinstance(values[0], Mapping | list | tuple) and not all(
        isinstance(v, Mapping | list | tuple) for v in values[1:] or [""]
    )


def _row(values: list[object], place: str, item: object) -> list[Candidate]:
    """`[subject, relation, object]`, with a confidence behind it, or with more by keys."""
    if len(values) not in (3, 4):
        return [Unfit(f"{len(values)} values instead of subject, relation, object", place, shown(item))]
    extras: dict[str, object] = {}
    if len(values) == 4:
        extras = dict(values[3]) if isinstance(values[3], Mapping) else {"confidence": values[3]}
    if not isinstance(values[1], str) or not clean(values[1]):
        return [Unfit("no relation", place, shown(item))]
    statement = Statement(NO_END, clean(values[1]), NO_END, place, item, extras)
    return list(_with_ends(statement, values[0], values[2]))


def _statement(value: dict[str, object], keys: dict[str, str], place: str) -> Statement | Unfit | None:
    """An object as a statement without its ends; None if it does not look like one."""
    plain = {k: v for k, v in keys.items() if not _is_items(value[v])}
    subject, object_ = _pick(plain, SUBJECTS), _pick(plain, OBJECTS)
    relation = _pick({k: v for k, v in plain.items() if v not in (subject, object_)}, RELATIONS)
    described = _pick(plain, DESCRIPTIONS)
    strong = relation and plain_key(relation) not in ("type", "label", "action", "property")
    if not (subject and object_) and not (strong and (subject or object_)):
        alone = subject and len(plain) == len(keys) and plain_key(subject) not in ("source", "src", "start", "from")
        if alone and not _pick(keys, NODE_TYPES):
            return Unfit("cut off" if CUT in value else "no relation and no object", place, shown(value))
        return None
    if CUT in value:
        return Unfit("cut off", place, shown(value))
    if not subject or not object_:
        return Unfit(f"no {'object' if subject else 'subject'}", place, shown(value))
    said = value[relation] if relation else None
    if isinstance(said, Mapping):
        said = next((said[k] for k in ("type", "name", "label", "predicate") if k in said), None)
    if not isinstance(said, str) or not clean(said):
        if not described or relation:
            return Unfit("no relation", place, shown(value))
        said = ""
    used = {subject, object_, relation}
    extras = {k: v for k, v in value.items() if k not in used}
    hints = (clean(str(value[described])),) if not said else ()
    return Statement(NO_END, clean(said), NO_END, place, value, extras, hints)


def _each_object(statement: Statement, value: dict[str, object], keys: dict[str, str]) -> Iterator[Candidate]:
    subject, object_ = _pick(keys, SUBJECTS), _pick(keys, OBJECTS)
    about = (_about(value, keys, SUBJECT_TYPES, SUBJECT_IDS), _about(value, keys, OBJECT_TYPES, OBJECT_IDS))
    used = {k for _, names in about for k in names}
    rest = {k: v for k, v in statement.extras.items() if k not in used}
    plain = replace(statement, extras=rest)
    yield from _with_ends(plain, value[subject], value[object_], about[0][0], about[1][0])


def _about(value: dict[str, object], keys: dict[str, str], types: Names, ids: Names) -> tuple[End, list[str]]:
    """What keys such as `subject_type` and `head_id` say of an end, and those keys."""
    type_ = _pick(keys, types)
    id_ = _pick(keys, ids)
    told = End("", _text(value.get(id_)) if id_ else "", _type(value.get(type_)) if type_ else "")
    return told, [k for k in (type_, id_) if k]


def _with_ends(
    statement: Statement, subject: object, object_: object, of_subject: End = NO_END, of_object: End = NO_END
) -> Iterator[Candidate]:
    """The statement with its ends; one for each object of a list."""
    objects = object_ if isinstance(object_, list | tuple) else [object_]
    if not objects:
        yield Unfit("no object", statement.place, statement.text)
    for one in objects:
        ends = (_end(subject, of_subject), _end(one, of_object))
        wrong = next((e for e in ends if isinstance(e, str)), None)
        if wrong is not None:
            which = "subject" if isinstance(ends[0], str) else "object"
            yield Unfit(f"the {which} {wrong}" if wrong else f"no {which}", statement.place, statement.text)
        elif isinstance(ends[0], End) and isinstance(ends[1], End):
            yield replace(statement, subject=ends[0], object_=ends[1])


def _end(value: object, told: End) -> End | str:
    """An end, or what is wrong with it: empty if it is not there."""
    if isinstance(value, Mapping):
        thing = _node(value, "")
        if isinstance(thing, Unfit):
            return "has no name"
        return End(thing.end.text, thing.end.id or told.id, thing.end.type or told.type)
    if isinstance(value, bool | list | tuple):
        return "is a list" if isinstance(value, list | tuple) else "is true or false"
    text = _text(value)
    if text.casefold() in NOTHING:
        return ""
    return End(text, told.id, told.type)


def _text(value: object) -> str:
    return clean(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _type(value: object) -> str:
    if isinstance(value, list | tuple):
        value = next(iter(value), "")
    return _text(value)


# ---- nodes ----------------------------------------------------------------------------------------------------------


def _is_node(value: dict[str, object], keys: dict[str, str]) -> bool:
    named = LABEL in keys or _pick(keys, NAMES) or _pick(keys, NODE_IDS)
    return bool(named and _pick(keys, NODE_TYPES)) and not any(
        _is_items(v) or isinstance(v, Mapping) for v in value.values()
    )


def _node_id(node: object) -> str:
    if not isinstance(node, Mapping):
        return ""
    keys = {plain_key(str(k)): str(k) for k in reversed(node)}
    return _text(node.get(_pick(keys, NODE_IDS)))


def _node(node: object, place: str) -> Thing | Unfit:
    """An entity out of a name or an object; `label` is its name or its class, whichever is not there otherwise."""
    text = shown(node)
    if not isinstance(node, Mapping):
        name = _text(node)
        return Thing(End(name), place, text) if name.casefold() not in NOTHING else Unfit("no name", place, text)
    if CUT in node:
        return Unfit("cut off", place, text)
    if TWICE in node:
        return Unfit(f"key {node[TWICE]!r} is there twice", place, text)
    inner = next((v for k, v in node.items() if plain_key(str(k)) in ("properties", "attributes", "data")), None)
    all_ = {str(k): v for k, v in ({**inner, **node} if isinstance(inner, Mapping) else node).items()}
    keys = {plain_key(k): k for k in reversed(all_)}
    id_ = _text(all_.get(_pick(keys, NODE_IDS)))
    typed = _pick(keys, NODE_TYPES)
    named = _pick(keys, NAMES)
    label = _text(all_.get(keys.get(LABEL, "")))
    name, type_ = _text(all_.get(named)), _type(all_.get(typed))
    if label and (typed or (not name and (not id_ or OPAQUE.fullmatch(id_) or ":" in id_))):
        name = name or label
    elif label:
        type_ = label
    name = name or id_
    if name.casefold() in NOTHING:
        return Unfit("no name", place, text)
    if _is_json(name):
        return Unfit("JSON instead of a name", place, text)
    described = _text(all_.get(_pick(keys, DESCRIPTIONS)))
    return Thing(End(name, id_ if id_ != name else "", type_), place, text, described)


def _is_json(name: str) -> bool:
    """Whether a name is an object or a list of such, written as text."""
    if name[:1] not in ("{", "["):
        return False
    try:
        value = parse_json(name)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, Mapping) or _is_items(value)


def _linked(statement: Statement, known: dict[str, End], *, opaque: bool) -> Candidate:
    """The statement with its ends looked up among the nodes, by id or name."""
    ends = []
    for end in (statement.subject, statement.object_):
        node = known.get(end.id) or known.get(end.text)
        if node is None and opaque and OPAQUE.fullmatch(end.text):
            return Unfit(f"{end.text!r} is not among the nodes", statement.place, statement.text)
        ends.append(End(node.text, node.id, end.type or node.type) if node else end)
    return replace(statement, subject=ends[0], object_=ends[1])
