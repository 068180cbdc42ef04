"""Values of parsed JSON, XML and text, checked: numbers, texts, times, boxes. Errors name the field."""

from __future__ import annotations

import math
import reprlib
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

MAX_PIXELS = 1_000_000
"""Width or height of a picture."""
MAX_TEXT = 1000
"""Characters of a label, a plate, an attribute."""

_SHOWN = 60
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _SHOWN
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799.0  # the year 9999


def number(value: object, name: str, low: float = -1e12, high: float = 1e12) -> float:
    """A finite number within bounds.

    Raises:
        ValueError: it is none; names the field.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name}: {_shown(value)} is not a number")
    if not low <= value <= high:  # NaN, too, is not
        bounds = f"{low:g}…{high:g}"
        raise ValueError(
            f"{name}: {_shown(value)} is {'outside ' + bounds if _finite(value) else 'not a finite number'}"
        )
    return float(value)


def integer(value: object, name: str, low: int = 0, high: int = 2**53) -> int:
    """A whole number within bounds.

    Raises:
        ValueError: it is none; names the field.
    """
    if (found := number(value, name, low, high)) != int(found):
        raise ValueError(f"{name}: {_shown(value)} is not a whole number")
    return int(found)


def parsed_number(text: str, name: str, low: float = -1e12, high: float = 1e12) -> float:
    """A finite number out of text.

    Raises:
        ValueError: it is none; names the field.
    """
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}: {_shown(text)} is not a number") from None
    return number(value, name, low, high)


def numbers(value: object, name: str, count: int) -> list[float]:
    """A list of so many numbers.

    Raises:
        ValueError: it is none; names the field.
    """
    if not isinstance(value, (list, tuple)) or len(value) != count:
        raise ValueError(f"{name}: {_shown(value)} is not a list of {count} numbers")
    return [number(item, f"{name}[{index}]") for index, item in enumerate(value)]


def score(value: object, name: str) -> float:
    """A confidence; 1 where none is given.

    Raises:
        ValueError: it is no number in 0…1; names the field.
    """
    return 1.0 if value is None else number(value, name, 0.0, 1.0)


def text(value: object, name: str) -> str:
    """A text that is not blank; whole numbers are taken as ids.

    Raises:
        ValueError: it is none; names the field.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name}: {_shown(value)} is not a text")
    if len(value) > MAX_TEXT:
        raise ValueError(f"{name}: {len(value):,} characters, more than {MAX_TEXT:,}")
    return value.strip()


def mapping(value: object, name: str) -> dict[str, Any]:
    """An object with named fields.

    Raises:
        ValueError: it is none; names the field.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{name}: {_shown(value)} is not an object with named fields")
    return value


def sequence(value: object, name: str) -> list[Any]:
    """A list; empty where there is none.

    Raises:
        ValueError: it is none; names the field.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name}: {_shown(value)} is not a list")
    return value


def instant(value: object, name: str) -> str:
    """A time, given in seconds since 1970 or in ISO 8601 (UTC unless it says otherwise), as ISO 8601 in UTC.

    Raises:
        ValueError: it is none; names the field.
    """
    if isinstance(value, str):
        try:
            stated = datetime.fromisoformat(value.strip())
            found = (stated if stated.tzinfo else stated.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{name}: {_shown(value)} is not a time in ISO 8601") from None
    else:
        found = _EPOCH + timedelta(seconds=number(value, name, 0.0, _LATEST))
    return found.replace(tzinfo=None).isoformat() + "Z"


def _finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _shown(value: object) -> str:
    return _SHORT.repr(value)[:_SHOWN]


class Box(NamedTuple):
    """Edges, from the left and from the top."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of_size(cls, left: float, top: float, width: float, height: float) -> Box:
        """By its corner and size."""
        return cls(left, top, left + width, top + height)

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> Box:
        """By its centre and size."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def clipped(self, width: float, height: float) -> Box:
        """The part within the medium.

        Raises:
            ValueError: there is none.
        """
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("it has no area")
        box = Box(max(self.left, 0.0), max(self.top, 0.0), min(self.right, width), min(self.bottom, height))
        if box.right <= box.left or box.bottom <= box.top:
            raise ValueError("it lies outside the picture")
        return box

    def scaled(self, x: float, y: float, digits: int) -> Box:
        """With edges multiplied and rounded."""
        return Box(*(round(edge * factor, digits) for edge, factor in zip(self, (x, y, x, y), strict=True)))
