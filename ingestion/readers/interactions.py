"""What users did with items: bought, viewed, rated. CSV, TSV, Parquet and RecBole's `.inter`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingestion.readers.base import Document, find_documents
from ingestion.readers.retail_tables import ITEM, TABLE_EXTENSIONS, USER, Table, Things, columns, number
from ingestion.readers.times import TimeParser, iso
from ingestion.readers.traffic_ids import dataset
from kg.errors import InputError
from kg.model import Claim, Record, Rejected, Scalar, Source

_RATING = ("rating", "ratings", "score", "stars", "overall", "评分")
_TIME = (
    "timestamp", "time", "ts", "datetime", "date", "eventtime", "createdat", "ratedat", "unixreviewtime", "reviewtime",
    "时间",
)  # fmt: skip
_ACTION = (
    "action", "event", "eventtype", "actiontype", "behavior", "behaviour", "behaviortype", "interaction",
    "interactiontype", "行为",
)  # fmt: skip


class InteractionsReader:
    """One claim for each row. Users and items are those of the data set, which is the folder or `--name`.

    A row without rating, time or action is fine; one with a rating or time that is none is refused.
    """

    name = "interactions"
    version = "2"
    extensions: tuple[str, ...] = (*TABLE_EXTENSIONS, ".inter")
    example = "evigraph ingest interactions ml-100k.inter"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each table; see `Reader.documents`."""
        if path is None:
            raise InputError("reader interactions needs a file or folder")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """The source, then each interaction; users and items are described before they first interact."""
        try:
            table = Table(document)
            user, item, rating, time, action = found = columns(table.names, USER, ITEM, _RATING, _TIME, _ACTION)
            if user is None or item is None:
                wanted = "user" if user is None else "item"
                article = "a" if user is None else "an"
                raise ValueError(
                    f"no column is {article} {wanted} id such as {wanted}_id: {', '.join(table.names)[:500]}"
                )
        except ValueError as error:
            yield Rejected(str(error), "L1", "", document.id)
            return
        yield Source(document.id, "document", name=document.path.name, document=document.id)
        yield from table.left_out(found)
        data = dataset(document)
        users = Things(document, data, "user", "User")
        items = Things(document, data, "item", "Item")
        times = TimeParser()
        for row in table.rows():
            if isinstance(row, Rejected):
                yield row
                continue
            place, cells = row
            who, what = str(cells[user]).strip(), str(cells[item]).strip()
            qualifiers: dict[str, Scalar] = {}
            try:
                if not who or not what:
                    raise ValueError(f"no {table.names[item if who else user]}")
                if rating is not None and cells[rating]:
                    qualifiers["rating"] = number(cells[rating], table.names[rating])
                if action is not None and cells[action]:
                    qualifiers["action"] = str(cells[action]).strip()
                if time is not None and cells[time]:
                    qualifiers["said_at"] = _time(str(cells[time]), table.names[time], times)
            except ValueError as error:
                yield table.rejected(str(error), row)
                continue
            yield from users.new(who, place)
            yield from items.new(what, place)
            yield Claim(
                users.id(who), "INTERACTED_WITH", items.id(what), document.id, 1.0, qualifiers, document.id, place
            )


def _time(text: str, column: str, times: TimeParser) -> str:
    try:
        return iso(times.parse(text))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{column}: {error}") from None
