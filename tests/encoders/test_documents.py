from __future__ import annotations

import base64
import io
import time
import zlib
from collections.abc import Callable

import pypdfium2
import pytest
from PIL import Image, ImageOps

from encoders.vision.detector import SeenBox
from encoders.vision.documents import in_reading_order, read_document
from encoders.vision.first_bytes import is_document
from encoders.vision.ocr import TextReader
from kg.errors import InputError
from tests.encoders.documents import TEXT_PDF, pdf_of, printed, saved


@pytest.fixture(scope="module")
def text_reader() -> TextReader:
    return TextReader()


def test_the_text_of_a_pdf_is_taken_as_it_is(text_reader: TextReader) -> None:
    read = read_document(TEXT_PDF, text_reader)
    assert read.text == "Seizures and ataxia since early childhood"
    (part,) = read.parts
    assert (part.page, part.box, part.confidence) == (1, None, 1.0)


@pytest.mark.parametrize("form", ["PNG", "PDF"])
def test_a_scan_is_read_line_by_line(text_reader: TextReader, form: str) -> None:
    read = read_document(saved(printed("Seizures were seen", "No microcephaly"), form), text_reader)
    assert read.text.replace(" ", "").splitlines() == ["Seizureswereseen", "Nomicrocephaly"]
    for part in read.parts:
        assert part.page == 1
        assert part.box is not None
        assert 0 <= part.box[0] < part.box[2] <= 1
        assert read.text[part.start : part.end]
    first, second = (part.box for part in read.parts)
    assert first is not None
    assert second is not None
    assert first[1] < second[1]


def test_lines_side_by_side_are_read_from_left_to_right() -> None:
    def line(text: str, left: float, top: float) -> SeenBox:
        return SeenBox("text", 1.0, (left, top, left + 0.2, top + 0.05), text, "text")

    lines = [line("d", 0.5, 0.31), line("b", 0.5, 0.10), line("c", 0.1, 0.30), line("a", 0.1, 0.11)]
    assert "".join(seen.text for seen in in_reading_order(lines)) == "abcd"


def test_what_is_no_document_is_refused(text_reader: TextReader, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no PDF that can be read"):
        read_document(b"%PDF-1.4 broken", text_reader)
    with pytest.raises(InputError, match="is no picture"):
        read_document(b"PK\x03\x04", text_reader)
    monkeypatch.setattr("encoders.vision.documents.MOST_PAGES", 2)
    many = pypdfium2.PdfDocument.new()
    for _ in range(3):
        many.new_page(100, 100)
    written = io.BytesIO()
    many.save(written)
    with pytest.raises(InputError, match="3 pages"):
        read_document(written.getvalue(), text_reader)
    monkeypatch.setattr("encoders.vision.documents.MOST_CHARACTERS", 10)
    with pytest.raises(InputError, match="more than 10 characters"):
        read_document(TEXT_PDF, text_reader)


def test_a_packed_page_is_read_and_a_bomb_is_refused_at_once(text_reader: TextReader) -> None:
    content = b"BT /F1 12 Tf 20 100 Td (Seizures and ataxia since birth) Tj ET"
    assert read_document(pdf_of(zlib.compress(content)), text_reader).text == "Seizures and ataxia since birth"
    bomb = zlib.compress(content * 4_000_000)
    started = time.perf_counter()
    with pytest.raises(InputError, match="unpacks to more than any page needs"):
        read_document(pdf_of(bomb), text_reader, "bomb.pdf")
    assert time.perf_counter() - started < 5


def _operators() -> bytes:
    return b"BT /F1 12 Tf 20 100 Td (Seizures and ataxia since birth) Tj ET"


@pytest.mark.parametrize(
    ("filters", "pack"),
    [
        (b"[/FlateDecode/FlateDecode]", lambda raw: zlib.compress(zlib.compress(raw))),
        (b"/#46lateDecode", zlib.compress),
        (b"[/ASCIIHexDecode/FlateDecode]", lambda raw: zlib.compress(raw).hex().encode() + b">"),
        (b"[/ASCII85Decode/FlateDecode]", lambda raw: base64.a85encode(zlib.compress(raw)) + b"~>"),
        (b"[/FlateDecode/ASCIIHexDecode/FlateDecode]", lambda raw: zlib.compress(zlib.compress(raw).hex().encode())),
    ],
)
def test_bombs_are_refused_however_they_are_packed(
    text_reader: TextReader, filters: bytes, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pdf_of(pack(_operators() * 1_000_000), filters=filters)
    started = time.perf_counter()
    with pytest.raises(InputError, match=r"more than any page needs|packed twice"):
        read_document(bomb, text_reader, "bomb.pdf")
    assert time.perf_counter() - started < 5


def test_streams_in_letters_are_read(text_reader: TextReader) -> None:
    packed = base64.a85encode(zlib.compress(_operators())) + b"~>"
    good = pdf_of(packed, filters=b"[/ASCII85Decode/FlateDecode]")
    assert read_document(good, text_reader).text == "Seizures and ataxia since birth"


def test_a_scan_below_a_printed_header_is_read_with_it(text_reader: TextReader) -> None:
    scan = printed("Seizures were seen", "No microcephaly")
    width, height = scan.size
    picture = saved(scan, "JPEG")
    drawn = b"q 290 0 0 150 5 5 cm /Im1 Do Q BT /F1 9 Tf 20 180 Td (General Hospital, page 1 of 1) Tj ET"
    more = (
        b"6 0 obj<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8"
        b"/Filter/DCTDecode/Length %d>>stream\n%s\nendstream endobj\n"
    ) % (width, height, len(picture), picture)
    page = pdf_of(zlib.compress(drawn), more).replace(b"<</Font", b"<</XObject<</Im1 6 0 R>>/Font")
    read = read_document(page, text_reader).text.replace(" ", "").splitlines()
    assert read == ["GeneralHospital,page1of1", "Seizureswereseen", "Nomicrocephaly"]


def test_all_pages_of_a_tiff_are_read(text_reader: TextReader) -> None:
    written = io.BytesIO()
    printed("Seizures were seen").save(written, "TIFF", save_all=True, append_images=[printed("No microcephaly")])
    read = read_document(written.getvalue(), text_reader)
    assert read.text.replace(" ", "").splitlines() == ["Seizureswereseen", "Nomicrocephaly"]
    assert [part.page for part in read.parts] == [1, 2]


def test_letters_on_a_transparent_ground_are_read(text_reader: TextReader) -> None:
    letters = ImageOps.invert(printed("Seizures were seen").convert("L"))
    page = Image.new("RGBA", letters.size, (0, 0, 0, 0))
    page.putalpha(letters)
    assert "Seizures" in read_document(saved(page, "PNG"), text_reader).text


def test_an_encrypted_pdf_is_told(text_reader: TextReader) -> None:
    dictionary = b"6 0 obj<</Filter/Standard/V 1/R 2/O(%s)/U(%s)/P -44>>endobj\n" % (b"x" * 32, b"y" * 32)
    trailer = b"/Encrypt 6 0 R/ID[(aaaaaaaaaaaaaaaa)(aaaaaaaaaaaaaaaa)]"
    with pytest.raises(InputError, match=r"a\.pdf: is encrypted"):
        read_document(pdf_of(zlib.compress(b"BT ET"), dictionary, trailer), text_reader, "a.pdf")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_pictures_are_told_from_texts_by_their_first_bytes(form: str) -> None:
    assert is_document(saved(printed("Seizures"), form))
    assert is_document(b"\n" + TEXT_PDF)
    for text in ("BMI 31, seizures since childhood.", "RIFF was played.", "MM is three.", "", "%PDF is a format."):
        assert not is_document(text.encode())
