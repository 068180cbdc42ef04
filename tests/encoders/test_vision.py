from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from encoders.vision.detector import NanoDet, SeenBox, TransformersDetector, load_detector
from encoders.vision.ocr import TextReader
from encoders.vision.pictures import read_picture
from encoders.vision.reading import PictureReader, join_text
from kg.errors import InputError

_SHARED = Path(__file__).parents[3] / "shared"
NANODET = _SHARED / "models" / "nanodet.onnx"
BUS = _SHARED / "data" / "images" / "london_bus.jpg"
needs_nanodet = pytest.mark.skipif(
    not (NANODET.is_file() and BUS.is_file()), reason="NanoDet or the picture is not here"
)


@pytest.fixture(scope="module")
def text_reader() -> TextReader:
    return TextReader()


def _png(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


@needs_nanodet
def test_the_bus_and_the_words_on_it(text_reader: TextReader) -> None:
    reader = PictureReader(load_detector(NANODET), text_reader)
    picture = read_picture(BUS)
    (seen,) = reader.encode([picture])
    bus = seen[0]
    assert bus.label == "bus"
    assert bus.confidence > 0.8
    assert "453" in bus.text.split()
    assert "Marylebone" in bus.text
    words = next(one for one in seen if one.text == "453" and one.kind == "text")
    assert bus.box[0] < words.box[0] < words.box[2] < bus.box[2]
    assert reader.name.startswith("nanodet@09d64ce4 + rapidocr@")
    smaller = np.asarray(Image.fromarray(picture).resize((300, 227)))
    (again,) = load_detector(NANODET).encode([smaller])
    assert again[0].label == "bus"
    assert np.allclose(again[0].box, bus.box, atol=0.03)  # boxes are parts of the picture


@needs_nanodet
def test_an_empty_picture_shows_nothing(text_reader: TextReader) -> None:
    reader = PictureReader(NanoDet(NANODET), text_reader)
    blank = np.full((240, 320, 3), 255, np.uint8)
    assert reader.encode([blank, np.zeros_like(blank)]) == [[], []]
    assert reader.encode([]) == []


def test_a_line_is_read(text_reader: TextReader) -> None:
    picture = Image.new("RGB", (640, 160), "white")
    ImageDraw.Draw(picture).text((20, 40), "Speed limit 50", fill="black", font=ImageFont.load_default(48))
    lines = text_reader.encode(np.asarray(picture))
    assert "".join(line.text for line in lines).replace(" ", "") == "Speedlimit50"
    assert all(0 <= edge <= 1 for edge in lines[0].box)


def test_text_goes_to_the_smallest_object_that_has_it() -> None:
    bus, sign = SeenBox("bus", 0.9, (0.1, 0.1, 0.9, 0.9)), SeenBox("sign", 0.8, (0.4, 0.2, 0.6, 0.3))
    on_sign, beside = (
        SeenBox("text", 1, (0.45, 0.22, 0.55, 0.28), "453", "text"),
        SeenBox("text", 1, (0.91, 0, 1, 0.1), "x"),
    )
    seen = join_text([bus, sign], [on_sign, beside])
    assert [one.text for one in seen] == ["", "453", "453", "x"]


def test_pictures_are_upright_and_rgb() -> None:
    picture = Image.new("L", (30, 10), 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # held sideways
    written = io.BytesIO()
    picture.save(written, "JPEG", exif=exif)
    assert read_picture(written.getvalue()).shape == (30, 10, 3)


def _bomb() -> bytes:
    """A PNG that says 20,000 × 15,000 pixels and holds hardly any bytes."""
    small = bytearray(_png(Image.new("L", (1, 1))))
    import struct
    import zlib

    small[16:24] = struct.pack(">II", 20_000, 15_000)
    small[29:33] = struct.pack(">I", zlib.crc32(bytes(small[12:29])))
    return bytes(small)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no picture"),
        (b"%PDF-1.7", "is no picture"),
        (_png(Image.new("RGB", (50, 50), "red"))[:60], "can't be read"),
        (_bomb(), "too many pixels"),
    ],
)
def test_what_is_no_picture_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_picture(content, "upload")


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="onnxruntime"):
        load_detector(path)
    with pytest.raises(InputError, match="is no model"):
        load_detector(tmp_path / "missing.onnx")


def test_a_detector_of_transformers_gives_boxes_as_parts(tmp_path: Path) -> None:
    """With weights by chance: what is tested is the way from its outputs to boxes."""
    transformers = pytest.importorskip("transformers")
    import torch

    torch.manual_seed(0)
    config = transformers.YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=[32, 48],
        patch_size=16, num_detection_tokens=5, num_labels=3,
    )  # fmt: skip
    transformers.YolosForObjectDetection(config).save_pretrained(tmp_path)
    transformers.YolosImageProcessor(size={"height": 32, "width": 48}).save_pretrained(tmp_path)
    detector = load_detector(tmp_path, 0.05)
    assert isinstance(detector, TransformersDetector)
    pictures = [np.full((64, 96, 3), shade, np.uint8) for shade in (10, 200)]
    found = detector.encode(pictures)
    assert len(found) == 2
    for seen in found:
        assert seen == sorted(seen, key=lambda one: -one.confidence)
        assert all(0 <= one.box[0] < one.box[2] <= 1 and 0 <= one.box[1] < one.box[3] <= 1 for one in seen)
