"""Claims as JSON: what clients push over HTTP, by command or through a broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from ingestion.dead_letters import kept
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Scalar, Source

MAX_CLAIMS = 10_000
"""Claims, and as many entities and sources, in one message."""

_MAX_INTEGER = 2**63


def _fits(value: Scalar) -> Scalar:
    if isinstance(value, int) and not -_MAX_INTEGER <= value < _MAX_INTEGER:
        raise ValueError("a whole number beyond 64 bits")
    return value


Id = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^\S+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Place = Annotated[str, StringConstraints(max_length=500)]
Text = Annotated[str, StringConstraints(max_length=100_000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Property = Annotated[Text | bool | int | Number, AfterValidator(_fits)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
MessageId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^\S+$")]


class _Pushed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PushedSource(_Pushed):
    """Who says it."""

    id: Id = Field(examples=["yolo:gate"])
    kind: Literal["publication", "database", "model", "sensor", "person", "document"]
    name: Text = ""
    model: Text = ""
    version: Text = ""
    url: Text = ""
    reliability: Share | None = Field(None, description="Chance that a claim with confidence 1 is true.")

    def record(self, document: str, _place: str) -> Source:
        """As the graph takes it."""
        return Source(**self.model_dump(), document=document)


class PushedEntity(_Pushed):
    """What a source says of a thing."""

    id: Id = Field(examples=["camera:gate"])
    classes: list[Name] = Field(min_length=1, max_length=50, examples=[["Camera"]])
    source: Id = Field(examples=["yolo:gate"])
    properties: dict[Name, Property | list[Text]] = Field({}, max_length=200, examples=[{"name": "Gate"}])
    place: Place = Field("", description="Where the source says it; empty: where it is in the message.")

    def record(self, document: str, place: str) -> Entity:
        """As the graph takes it."""
        properties = {name: tuple(v) if isinstance(v, list) else v for name, v in self.properties.items()}
        return Entity(self.id, tuple(self.classes), self.source, properties, document, self.place or place)


class PushedClaim(_Pushed):
    """A source says a fact."""

    subject: Id = Field(examples=["detection:gate/1"])
    relation: Name = Field(examples=["DETECTED_IN"])
    object: Id = Field(examples=["camera:gate"])
    source: Id = Field(examples=["yolo:gate"])
    confidence: Share = 1.0
    qualifiers: dict[Name, Property] = Field({}, max_length=100)
    place: Place = Field("", description="Where the source says it; empty: where it is in the message.")

    def record(self, document: str, place: str) -> Claim:
        """As the graph takes it."""
        qualifiers: dict[str, Scalar] = dict(self.qualifiers)
        ends = self.subject, self.relation, self.object
        return Claim(*ends, self.source, self.confidence, qualifiers, document, self.place or place)


class ClaimsMessage(_Pushed):
    """Claims, with the sources and entities that they need as far as the graph does not have them."""

    id: MessageId | None = Field(
        None,
        description="Makes it safe to send again; else the header Idempotency-Key, else a hash of the content.",
        examples=["gate-2026-03-01-0001"],
    )
    sources: list[PushedSource] = Field([], max_length=MAX_CLAIMS)
    entities: list[PushedEntity] = Field([], max_length=MAX_CLAIMS)
    claims: list[PushedClaim] = Field([], max_length=MAX_CLAIMS)

    def records(self, document: str) -> Iterator[Record]:
        """Sources, then entities, then claims."""
        yield from (source.record(document, "") for source in self.sources)
        yield from (entity.record(document, f"entities[{at}]") for at, entity in enumerate(self.entities))
        yield from (claim.record(document, f"claims[{at}]") for at, claim in enumerate(self.claims))


_SHAPES: dict[str, TypeAdapter[PushedSource] | TypeAdapter[PushedEntity] | TypeAdapter[PushedClaim]] = {
    "sources": TypeAdapter(PushedSource),
    "entities": TypeAdapter(PushedEntity),
    "claims": TypeAdapter(PushedClaim),
}


def claims_of(message: object, document: str, place: str = "") -> Iterator[Record]:
    """The records of a message; what does not fit its shape is `Rejected`, and the rest follows.

    Args:
        message: parsed JSON: an object as `ClaimsMessage`, or one claim by itself.
        document: id of the message, or of its stream.
        place: of the message there.
    """
    if not isinstance(message, Mapping):
        yield Rejected("not an object with `claims`", place, _text(message), document, is_message=True)
        return
    if "subject" in message:
        message = {"claims": [message]}
    if unknown := sorted(map(str, message.keys() - _SHAPES.keys() - {"id"})):
        reason = f"unknown member: {', '.join(unknown)[:200]}"
        yield Rejected(reason, place, _text(message), document, is_message=True)
    if not message.keys() & _SHAPES.keys():
        yield Rejected("no claims, entities or sources inside", place, _text(message), document, is_message=True)
    for name, shape in _SHAPES.items():
        stated = message.get(name, [])
        where = f"{place}.{name}" if place else name
        if not isinstance(stated, list):
            yield Rejected(f"{name} is not a list", where, _text({name: stated}), document, is_message=True)
            continue
        if len(stated) > MAX_CLAIMS:
            yield Rejected(f"{len(stated):,} {name}, more than {MAX_CLAIMS:,}", where, "", document)
            continue
        for index, item in enumerate(stated):
            try:
                yield shape.validate_python(item).record(document, f"{where}[{index}]")
            except ValidationError as error:
                said = _text({name: [item]})
                yield Rejected(_reason(error), f"{where}[{index}]", said, document, is_message=True)


def parse(text: bytes) -> Any:  # noqa: ANN401 (any JSON)
    """JSON, strictly.

    Raises:
        InputError: it is none.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"not JSON: {error}") from None


def _reason(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, found['loc'])) or 'item'}: {found['msg']}"


def _text(value: object) -> str:
    try:
        return kept(orjson.dumps(value).decode())
    except TypeError:
        return kept(repr(value))
