"""FHIR files: the resources of bundles, bulk exports and single files, as streams, checked against R4 and R5.

A resource is checked by the models of `fhir.resources`; whichever of R4B and R5 it fits, it passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ingestion.readers.base import Document
from ingestion.readers.json_values import TOP, values
from kg.errors import InputError
from kg.model import Rejected

Resource = dict[str, Any]

LINE_EXTENSIONS = (".ndjson", ".jsonl")
_HEAD = 1 << 16
_TYPE = re.compile(rb'"resourceType"\s*:\s*"(\w+)"')
_ENTRIES = re.compile(rb'"entry"\s*:\s*\[')
_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Found:
    """One resource.

    Attributes:
        place: where it is: `entry[3].resource`, `L5`.
        url: its `fullUrl` in a bundle, or empty.
        bundled: whether it is in a bundle.
    """

    type: str
    value: Resource
    place: str
    url: str
    bundled: bool


def resources(document: Document) -> Iterator[Found | Rejected]:
    """The resources in the order of the file: of a bundle, of lines, of an array, or a single one."""
    path = ("entry",) if is_bundle(document) else TOP
    found = False
    for item in values(document, path):
        found = True
        if isinstance(item, Rejected):
            yield item
        elif path:
            yield from _entry(item.value, item.place, document.id)
        else:
            yield from _resource(item.value, item.place, "", document.id, bundled=False)
    if not found:
        yield Rejected("a bundle without entries", "entry", "", document.id)


def is_bundle(document: Document) -> bool:
    """Whether a file is one bundle; bundles in lines are read line by line."""
    if document.path.name.lower().endswith(LINE_EXTENSIONS):
        return False
    with document.open() as file:
        head = file.read(_HEAD)
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    first, entries = _TYPE.search(head), _ENTRIES.search(head)
    if entries is not None and (first is None or entries.start() < first.start()):
        return True  # names in alphabetical order
    return first is not None and first[1] == b"Bundle"


def holds(document: Document, type_: str) -> bool:
    """Whether the first resource of a file has this type; False if the file can't be read."""
    try:
        with document.open() as file:
            first = _TYPE.search(file.read(_HEAD))
    except (OSError, InputError):
        return False
    return first is not None and first[1] == type_.encode()


def _entry(entry: object, place: str, document: str) -> Iterator[Found | Rejected]:
    if not isinstance(entry, dict):
        yield Rejected("an entry is an object", place, str(entry)[:_SHOWN], document)
        return
    url = entry.get("fullUrl", "")
    if "resource" in entry:
        url = url if isinstance(url, str) else ""
        yield from _resource(entry["resource"], f"{place}.resource", url, document, bundled=True)
    else:
        request = entry.get("request")
        asked = f"{request.get('method')} {request.get('url')}" if isinstance(request, dict) else ""
        reason = f"{asked}: requests are not carried out" if asked else "an entry without resource"
        yield Rejected(reason, place, str(entry)[:_SHOWN], document)


def _resource(value: object, place: str, url: str, document: str, *, bundled: bool) -> Iterator[Found | Rejected]:
    type_ = value.get("resourceType") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(type_, str) or not type_.isidentifier():
        yield Rejected("no FHIR resource: no resourceType", place, str(value)[:_SHOWN], document)
    elif type_ == "Bundle":
        entries = value.get("entry", [])
        if not isinstance(entries, list):
            yield Rejected("entry: is no list", place, str(value)[:_SHOWN], document)
            return
        for index, entry in enumerate(entries):
            yield from _entry(entry, f"{place}.entry[{index}]", document)
    else:
        yield Found(type_, _stated(value), place, url, bundled)


def _stated(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """A value without the nulls that some systems write for what is not there, which the models let pass."""
    if isinstance(value, dict):
        return {name: _stated(item) for name, item in value.items() if item is not None}
    return [_stated(item) for item in value] if isinstance(value, list) else value


class Validator:
    """Checks resources against R4B, and else R5.

    Raises:
        InputError: `fhir.resources` is not installed.
    """

    def __init__(self) -> None:
        try:
            from fhir.resources import get_fhir_model_class as r5
            from fhir.resources.R4B import get_fhir_model_class as r4
        except ImportError:
            raise InputError("FHIR needs fhir.resources: pip install 'evigraph[fhir]'") from None
        self._versions: tuple[Callable[[str], Any], ...] = (r4, r5)

    def problem(self, found: Found) -> tuple[str, str] | None:
        """(element's path, what is wrong with it); None if the resource fits R4B or R5."""
        closest: list[tuple[str, str]] = []
        for model in self._versions:
            problems = _problems(model, found)
            if not problems:
                return None
            if not closest or len(problems) < len(closest):
                closest = problems
        path, reason = closest[0]
        return path, reason + (f" (and {len(closest) - 1} more)" if len(closest) > 1 else "")


def _problems(model: Callable[[str], Any], found: Found) -> list[tuple[str, str]]:
    from pydantic import ValidationError

    try:
        model(found.type).model_validate(found.value)
    except ValidationError as error:
        return [(_path(e["loc"]), e["msg"].removeprefix("Value error, ")) for e in error.errors(include_url=False)]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        # what the models themselves stumble over, such as a contained resource of an unknown type
        return [("", f"no valid {found.type}: {error}"[:300])]
    return []


def _path(location: tuple[int | str, ...]) -> str:
    """`code.coding[0].code`"""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
