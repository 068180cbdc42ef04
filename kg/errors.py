"""The one error tree. Classes are named by who must act on them; `api/errors.py` maps them to HTTP and exit codes."""

from __future__ import annotations


def words_of(error: BaseException) -> str:
    """What an error says, or its type where it says nothing."""
    return str(error) or type(error).__name__


class EvigraphError(Exception):
    """Base of every error that Evigraph raises on purpose; its text is meant for the user."""


class InputError(EvigraphError):
    """The user's input is wrong: names the file, line or field.

    Args:
        reason: what is wrong, in one sentence.
        place: file, line or field (`cases.json`, `phenotype.hpoa:17`, `present[2]`), empty if there is none.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.reason = reason
        self.place = place


class NotFoundError(EvigraphError):
    """What was asked for by its id does not exist."""


class ConflictError(EvigraphError):
    """The request contradicts what the graph or the ledger already holds."""


class OntologyError(EvigraphError):
    """A class, relation or property is not in the ontology, or a claim breaks it."""


class StoreUnavailableError(EvigraphError):
    """The graph database cannot be reached or refuses the credentials; trying later may help."""


class QueryTimeoutError(EvigraphError):
    """A query ran beyond its time limit and was stopped."""


class ModelUnavailableError(EvigraphError):
    """A model's server can't be reached, refuses the call, or may not be asked any more; trying later may help."""


class ConfigurationError(EvigraphError):
    """A setting is missing or unsafe; the operator must change it."""
