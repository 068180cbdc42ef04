"""Archives that are small and unpack to much: bounded memory, bounded time."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from ingestion.readers import phenopacket_files
from ingestion.readers.base import get_reader
from ingestion.readers.phenopacket_files import Parsed, messages
from kg.model import Rejected

PACKET = json.dumps({"id": "a", "metaData": {"phenopacketSchemaVersion": "2.0"}}).encode()


def _archive(path: Path, *members: tuple[tarfile.TarInfo, int]) -> list[Parsed | Rejected]:
    """What is read of an archive: a packet, members of so many zeros, and another packet."""
    with tarfile.open(path, "w:xz", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, tarfile.TarInfo("first.json"), PACKET)
        for member, size in members:
            _add(tar, member, bytes(size))
        _add(tar, tarfile.TarInfo("last.json"), PACKET)
    [document] = get_reader("phenopackets").documents(path)
    return list(messages(document))


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def test_large_members_that_are_no_messages_are_skipped(tmp_path: Path) -> None:
    found = _archive(tmp_path / "a.tar.xz", (tarfile.TarInfo("scan.dcm"), 3 << 20))
    assert [type(item) for item in found] == [Parsed, Parsed]


def test_an_archive_that_unpacks_to_too_much_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phenopacket_files, "MAX_ARCHIVE", 2 << 20)
    first, rest = _archive(tmp_path / "a.tar.xz", (tarfile.TarInfo("x.bin"), 3 << 20))
    assert isinstance(first, Parsed)
    assert isinstance(rest, Rejected)
    assert "2,097,152 bytes when unpacked" in rest.reason


@pytest.mark.parametrize("type_", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_large_header_is_not_read_into_memory(tmp_path: Path, type_: bytes) -> None:
    header = tarfile.TarInfo("header")
    header.type = type_
    first, rest = _archive(tmp_path / "a.tar.xz", (header, 2 << 20))
    assert isinstance(first, Parsed)
    assert isinstance(rest, Rejected)
    assert "a header of 2,097,152 bytes" in rest.reason
