"""Times of FHIR: when something began and ended, as dates and as ages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from ingestion.readers.fhir_terms import terms
from kg.model import Scalar

Qualifiers = dict[str, Scalar]
Problems = list[tuple[str, str]]
"""(element, what is wrong) of what had to be left out."""

_UNITS = {"a": "Y", "mo": "M", "wk": "W", "d": "D", "years": "Y", "year": "Y", "months": "M", "month": "M"}
_DAYS = {"h": 1 / 24, "min": 1 / 1440, "wk": 7.0, "d": 1.0, "mo": 30.4375, "a": 365.25}
_MAX_AGE = 200.0


def moment(text: object) -> str:
    """A dateTime in UTC; a date, year or month as it is; empty if it is none."""
    if not isinstance(text, str):
        return ""
    if "T" not in text:
        return text
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return ""
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    try:
        return aware.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        return ""


def age(quantity: object) -> str:
    """An Age or other Quantity of time as ISO 8601 duration.

    Raises:
        ValueError: it is none.
    """
    value, unit = None, ""
    if isinstance(quantity, dict):
        value, unit = quantity.get("value"), str(quantity.get("code") or quantity.get("unit") or "")
    try:
        amount = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("an age without a value") from None
    ucum = {"years": "a", "year": "a", "months": "mo", "month": "mo", "weeks": "wk", "days": "d"}.get(unit, unit)
    if ucum not in _DAYS:
        raise ValueError(f"{unit[:20]!r} is no unit of age")
    if not 0 <= amount * _DAYS[ucum] <= _MAX_AGE * 366:
        raise ValueError(f"{amount:g} {ucum} is no age")
    if ucum in _UNITS and amount.is_integer():
        return f"P{int(amount)}{_UNITS[ucum]}"
    if ucum == "a" and (amount * 12).is_integer():
        return f"P{int(amount * 12)}M"
    return f"P{int(amount * _DAYS[ucum])}D"


def _since_birth(text: str, birth: str) -> str:
    """The age at a date, or at a dateTime where it was stated, in days; empty unless both are known to the day.

    Raises:
        ValueError: it lies before birth.
    """
    try:
        days = (date.fromisoformat(text[:10]) - date.fromisoformat(birth)).days
    except ValueError:
        return ""
    if days < 0:
        raise ValueError(f"{text} is before birth, {birth}")
    return f"P{days}D"


def onset(resource: dict[str, Any], birth: str, problems: Problems) -> Qualifiers:
    """`onset[x]` as `valid_from`, `onset_age` and `onset_term`."""
    found: Qualifiers = {}
    try:
        if "onsetDateTime" in resource or "onsetPeriod" in resource:
            period = resource.get("onsetPeriod") or {"start": resource.get("onsetDateTime")}
            start, end = period.get("start"), period.get("end")
            if since := moment(start):
                found["valid_from"] = since
                found["onset_age"] = _since_birth(str(start), birth)
            if since and moment(end):
                found["onset_age_end"] = _since_birth(str(end), birth)
        elif "onsetAge" in resource:
            found["onset_age"] = age(resource["onsetAge"])
        elif "onsetRange" in resource:
            span = resource["onsetRange"]
            found["onset_age"] = age(span.get("low") or span.get("high"))
            found["onset_age_end"] = age(span.get("high") or span.get("low"))
        elif "onsetString" in resource:
            said = str(resource["onsetString"])
            term = terms({"coding": [{"code": said.split()[0] if said.split() else ""}]})
            if not term or term[0].prefix != "HP":
                raise ValueError(f"{said[:100]!r} is in words")
            found["onset_term"] = term[0].id
    except ValueError as error:
        problems.append(("onset", f"left out, the rest is loaded: {error}"))
    return {name: value for name, value in found.items() if value}


def abatement(resource: dict[str, Any], birth: str, problems: Problems) -> Qualifiers:
    """`abatement[x]` as `valid_to` and `resolution_age`."""
    found: Qualifiers = {}
    try:
        if "abatementDateTime" in resource or "abatementPeriod" in resource:
            period = resource.get("abatementPeriod") or {"end": resource.get("abatementDateTime")}
            end = period.get("end")
            if until := moment(end):
                found["valid_to"] = until
                found["resolution_age"] = _since_birth(str(end), birth)
        elif "abatementAge" in resource:
            found["resolution_age"] = age(resource["abatementAge"])
        elif "abatementRange" in resource:
            found["resolution_age"] = age(resource["abatementRange"].get("high"))
        elif "abatementString" in resource:
            raise ValueError(f"{str(resource['abatementString'])[:100]!r} is in words")
    except ValueError as error:
        problems.append(("abatement", f"left out, the rest is loaded: {error}"))
    return {name: value for name, value in found.items() if value}


def effective(resource: dict[str, Any]) -> str:
    """When an Observation or DiagnosticReport was so: its time, else when it was issued."""
    period = resource.get("effectivePeriod")
    start = period.get("start") if isinstance(period, dict) else None
    for text in (resource.get("effectiveDateTime"), resource.get("effectiveInstant"), start, resource.get("issued")):
        if found := moment(text):
            return found
    return ""
