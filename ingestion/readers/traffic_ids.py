"""Ids of traffic: sensors, roads and vehicles under the name of the data set or network they belong to."""

from __future__ import annotations

from urllib.parse import quote

from ingestion.readers.base import Document

_SAFE = "/:#[]+@!$'()*,;=&"
"""What SUMO's and other ids hold and a CURIE may."""


def dataset(document: Document) -> str:
    """The folder that a document lies in, from the ingested root on; of a single file its name up to the first dot.

    Documents of one folder thus speak of the same sensors and roads, whichever reader takes them.
    """
    folder, _, file = document.id.partition(":")[2].rpartition("/")
    return folder or file.split(".")[0] or file


def stem(document: Document) -> str:
    """A document's file name up to its first dot."""
    file = document.id.partition(":")[2].rpartition("/")[2]
    return file.split(".")[0] or file


def curie(prefix: str, dataset: str, *parts: str) -> str:
    """`prefix:dataset/part/part`; the parts are percent-encoded where need be, a dataset's name is already."""
    return f"{prefix}:{dataset}/{'/'.join(quote(part, safe=_SAFE) for part in parts)}"
