from __future__ import annotations

from collections.abc import Iterator

import api.errors
import kg.errors
from api.errors import EXIT_PARTIAL, HTTP_KINDS, KINDS, kind_of, problem_of
from kg.errors import EvigraphError, InputError, NotFoundError


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
    class MissingDisease(NotFoundError):
        pass

    assert kind_of(MissingDisease("x")) is KINDS[NotFoundError]


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
