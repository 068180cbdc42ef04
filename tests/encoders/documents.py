"""Small documents to be read."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

TEXT_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj
4 0 obj<</Length 72>>stream
BT /F1 12 Tf 20 100 Td (Seizures and ataxia since early childhood) Tj ET
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R>>
%%EOF"""


def pdf_of(stream: bytes, more: bytes = b"", trailer: bytes = b"", filters: bytes = b"/FlateDecode") -> bytes:
    """A page whose content is a packed stream."""
    start = TEXT_PDF.index(b"4 0 obj")
    end = TEXT_PDF.index(b"5 0 obj")
    packed = b"4 0 obj<</Length %d/Filter%s>>stream\n%s\nendstream endobj\n" % (len(stream), filters, stream)
    whole = TEXT_PDF[:start] + packed + TEXT_PDF[end:]
    return whole.replace(b"trailer<<", more + b"trailer<<" + trailer)


def printed(*lines: str) -> Image.Image:
    """A page with these lines."""
    page = Image.new("RGB", (900, 80 * len(lines) + 120), "white")
    ImageDraw.Draw(page).multiline_text(
        (40, 40), "\n".join(lines), fill="black", font=ImageFont.load_default(32), spacing=24
    )
    return page


def saved(page: Image.Image, form: str) -> bytes:
    """The content of a file of this form."""
    written = io.BytesIO()
    page.save(written, form)
    return written.getvalue()
