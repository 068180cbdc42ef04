"""Times as tables write them: ISO 8601, epoch numbers, and day/month/year where its order can be told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

DAY_US = 86_400_000_000
"""Microseconds of a day."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
EARLIEST, LATEST = -2_208_988_800_000_000, 7_258_118_400_000_000
"""1900 and 2200, in microseconds since 1970: what lies outside is no measurement, but a broken cell."""
_NUMBER = re.compile(r"\d+(?:\.\d*)?")
_EPOCH_UNITS = ((1e8, 1e10, 1_000_000.0), (1e11, 1e13, 1_000.0), (1e14, 1e16, 1.0), (1e17, 1e19, 0.001))
"""From, below, microseconds: seconds, milli-, micro- and nanoseconds since 1970, told apart by their size."""
_YEAR_LAST = re.compile(
    r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})"
    r"(?:(?:[ T]|, ?)(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?(?: ?([AaPp])[Mm])?)?"
)
_YEAR_FIRST = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?:[ T](.+))?")
_CACHED = 1 << 20


def iso(microseconds: int) -> str:
    """ISO 8601 in UTC, e.g. `2012-03-01T00:05:00Z`."""
    return (_EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=None).isoformat() + "Z"


class TimeParser:
    """Reads the times of one table; a time without zone is UTC.

    `04/05/2024` may be April or May. `learn` looks for a time such as `13/05/2024` that tells which comes first; where
    there is none, such times are refused.
    """

    def __init__(self) -> None:
        self.day_first: bool | None = None
        self._known: dict[str, int] = {}

    def learn(self, texts: Iterable[str]) -> None:
        """Takes the order of day and month from the times that have only one reading, if they agree."""
        orders = {int(m[1]) > 12 for t in texts if (m := _YEAR_LAST.fullmatch(t.strip())) and _has_one_reading(m)}
        self.day_first = orders.pop() if len(orders) == 1 else None

    def parse(self, text: str) -> int:
        """Microseconds since 1970, UTC.

        Raises:
            ValueError: it is no time, or not an unambiguous one.
        """
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= _CACHED:
                self._known.clear()
            known = self._known[text] = self._parse(text.strip())
        return known

    def _parse(self, text: str) -> int:
        if _NUMBER.fullmatch(text):
            return _from_number(text)
        if match := _YEAR_LAST.fullmatch(text):
            return _checked(self._year_last(text, match), text)
        if match := _YEAR_FIRST.fullmatch(text):
            year, month, day, clock = match.groups()
            text = f"{year}-{month:0>2}-{day:0>2}" + (f"T{clock:0>5}" if clock else "")
        if text.endswith((" UTC", " GMT")):
            text = text[:-4] + "Z"
        if text[4:5] != "-":  # else 2024W01 and the like would be read, which sensors don't write
            raise ValueError(f"{text[:40]!r} is no time")
        try:
            return _checked(datetime.fromisoformat(text), text)
        except ValueError as error:
            raise ValueError(f"{text[:40]!r} is no time: {error}") from None

    def _year_last(self, text: str, match: re.Match[str]) -> datetime:
        first, _, second, year, hour, minute, second_, fraction, half = match.groups()
        day_first = int(first) > 12 if _has_one_reading(match) else self.day_first
        if int(first) == int(second):
            day_first = True
        if day_first is None:
            raise ValueError(f"{text!r} is ambiguous: day or month first? write ISO 8601, {year}-MM-DD")
        day, month = (first, second) if day_first else (second, first)
        hours = int(hour or 0)
        if half:
            if not 1 <= hours <= 12:
                raise ValueError(f"{text!r} is no time")
            hours = hours % 12 + (12 if half in "pP" else 0)
        microsecond = int((fraction or "0").ljust(6, "0"))
        try:
            return datetime(
                int(year), int(month), int(day), hours, int(minute or 0), int(second_ or 0), microsecond, tzinfo=UTC
            )
        except ValueError as error:
            raise ValueError(f"{text!r} is no time: {error}") from None


def _has_one_reading(match: re.Match[str]) -> bool:
    return (int(match[1]) > 12) != (int(match[3]) > 12)


def _from_number(text: str) -> int:
    """An epoch number, or a date written in 8 or 14 digits."""
    if len(text) in (8, 14) and text.isdigit() and text[0] in "12":
        form = "%Y%m%d" if len(text) == 8 else "%Y%m%d%H%M%S"
        try:
            return _checked(datetime.strptime(text, form).replace(tzinfo=UTC), text)
        except ValueError:
            raise ValueError(f"{text!r} is no time") from None
    value = float(text)
    for low, high, scale in _EPOCH_UNITS:
        if low <= value < high:
            return round(value * scale) if "." in text or scale < 1 else int(text) * int(scale)
    raise ValueError(f"{text[:40]!r} is no time: no epoch seconds, milli-, micro- or nanoseconds since 1973")


def _checked(moment: datetime, text: str) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    found = (aware - _EPOCH) // _MICROSECOND
    if not EARLIEST <= found < LATEST:
        raise ValueError(f"{text[:40]!r} is outside 1900…2200")
    return found
