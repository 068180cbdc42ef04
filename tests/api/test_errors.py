from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import api.errors
import kg.errors
from api.errors import EXIT_PARTIAL, HTTP_KINDS, KINDS, kind_of, problem_of
from kg.errors import EvigraphError, InputError, NotFoundError

DOCS = Path(__file__).parents[2] / "docs"


def _subclasses(base: type[EvigraphError]) -> Iterator[type[EvigraphError]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _subclasses(cls)


def test_every_error_of_the_tree_has_a_row_of_its_own() -> None:
    modules = (kg.errors.__name__, api.errors.__name__)
    declared = {cls for cls in _subclasses(EvigraphError) if cls.__module__ in modules}
    assert declared | {EvigraphError} == set(KINDS)


def test_exit_codes_and_types_tell_errors_apart() -> None:
    codes = [kind.exit_code for kind in KINDS.values()]
    assert len(set(codes)) == len(codes)
    assert not {0, EXIT_PARTIAL, 2, 130} & set(codes)
    types = [kind.type for kind in (*KINDS.values(), *HTTP_KINDS.values())]
    assert len(set(types)) == len(types)


def test_a_subclass_takes_the_row_of_its_base() -> None:
    class MissingDiseaseError(NotFoundError):
        pass

    assert kind_of(MissingDiseaseError("x")) is KINDS[NotFoundError]


def test_an_input_error_names_its_place() -> None:
    assert problem_of(InputError("no number", "cases.json:3")) == {
        "type": "urn:evigraph:problem:input",
        "title": "The input is wrong",
        "status": 422,
        "detail": "cases.json:3: no number",
        "place": "cases.json:3",
    }


def test_an_unexpected_error_tells_nothing_of_itself() -> None:
    body = problem_of(RuntimeError("password=abc"))
    assert body["status"] == 500
    assert "abc" not in str(body)
    assert "RuntimeError" not in str(body)


def test_docs_list_every_error() -> None:
    cli, http = ((DOCS / name).read_text() for name in ("cli.md", "http-api.md"))
    for kind in KINDS.values():
        assert f"| {kind.exit_code} | {kind.title[0].lower()}{kind.title[1:]} (`{kind.name}`) |" in cli
    for kind in (*KINDS.values(), *HTTP_KINDS.values()):
        assert f"| {kind.status} | `{kind.type}` | {kind.title} |" in http
