"""Films of a real picture that moves: what is seen is followed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av", reason="needs the extra `vision`")

from encoders.vision.detector import SeenBox  # noqa: E402
from encoders.vision.films import frames_of  # noqa: E402
from encoders.vision.pictures import read_picture  # noqa: E402
from encoders.vision.tracking import Tracker  # noqa: E402
from ingestion.readers.base import get_reader  # noqa: E402
from ingestion.readers.video import VideoReader  # noqa: E402
from kg.errors import ConfigurationError, InputError  # noqa: E402
from kg.model import Claim, Entity  # noqa: E402
from tests.ingestion.samples import SHARED  # noqa: E402
from tests.ingestion.test_reader_contract import ReaderContract, read_all  # noqa: E402

DETECTOR = SHARED.parent / "models" / "nanodet.onnx"
BUS = SHARED / "images" / "london_bus.jpg"
pytestmark = pytest.mark.skipif(not (DETECTOR.exists() and BUS.exists()), reason="needs the detector and a picture")


def film(seconds: float = 3.0, rate: int = 8) -> bytes:
    """A camera that pans over a picture."""
    picture = read_picture(BUS)
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    window = width * 4 // 5 // 2 * 2
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = window, height, "yuv420p", 8_000_000
        count = int(seconds * rate)
        for number in range(count):
            left = (width - window) * number // count
            part = np.ascontiguousarray(picture[:height, left : left + window])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        container.mux(stream.encode(None))
    return written.getvalue()


class TestVideo(ReaderContract):
    name = "video"

    @pytest.fixture(autouse=True)
    def detector(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(VideoReader, "detector", str(DETECTOR))

    def write_good(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "a.mp4").write_bytes(film(1.0))
        return folder

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        (folder / "broken.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42 and nothing more")
        return folder, ""

    def test_a_bus_is_one_track_through_the_film(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").write_bytes(film())
        records = read_all(get_reader("video"), tmp_path / "a.mp4")
        buses = {
            r.subject
            for r in records
            if isinstance(r, Claim) and r.relation == "INSTANCE_OF" and r.object.endswith(":bus")
        }
        tracks = {
            r.object for r in records if isinstance(r, Claim) and r.relation == "PART_OF_TRACK" and r.subject in buses
        }
        assert len(tracks) == 1
        times = [
            float(str(r.properties["frame_time"]))
            for r in records
            if isinstance(r, Entity) and r.id in buses and "Detection" in r.classes
        ]
        assert len(times) >= 5
        assert times == sorted(times)
        assert times[-1] > 2


def test_frames_come_at_the_rate_and_what_is_no_film_is_refused() -> None:
    content = film(2.0)
    assert [round(frame.seconds, 1) for frame in frames_of(content, 2)] == [0.0, 0.5, 1.0, 1.5]
    for wrong in (b"", b"no film", BUS.read_bytes()[:500]):
        with pytest.raises(InputError, match="film"):
            list(frames_of(wrong, 2))


def test_without_a_detector_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="EVIGRAPH_DETECTOR"):
        read_all(get_reader("video"), tmp_path / "a.mp4")


def test_things_keep_their_numbers_when_they_cross_and_are_hidden() -> None:
    tracker = Tracker()

    def seen(*lefts: tuple[float, float]) -> list[SeenBox]:
        return [SeenBox("car", sure, (left, 0.4, left + 0.2, 0.6)) for left, sure in lefts]

    assert tracker.update(0.0, seen((0.0, 0.9), (0.7, 0.9))) == [1, 2]
    assert tracker.update(0.1, seen((0.05, 0.9), (0.65, 0.9))) == [1, 2]
    assert tracker.update(0.2, seen((0.6, 0.9), (0.1, 0.3))) == [2, 1]
    assert tracker.update(0.3, seen((0.55, 0.9))) == [2]
    assert tracker.update(0.4, seen((0.2, 0.9), (0.5, 0.9))) == [1, 2]
    assert tracker.update(0.5, [SeenBox("dog", 0.2, (0.8, 0.8, 0.9, 0.9))]) == [None]
    assert tracker.update(9.0, seen((0.2, 0.9))) == [3]
