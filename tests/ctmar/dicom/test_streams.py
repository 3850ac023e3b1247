"""Compressed streams that claim another image than the header: refused before a decoder believes them."""

import resource
import struct
import sys
import time

import numpy as np
import pydicom
import pytest
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless
from tests.ctmar.dicom.jpeg_lossless import encode

from ctmar.dicom import jpeg_lossless
from ctmar.dicom.pixels import read_display
from ctmar.dicom.scan import read_images
from ctmar.store.quarantine import Refused

SYNTAXES = {"J2K": JPEG2000Lossless, "JPEG-LS": JPEGLSLossless, "RLE": RLELossless, "JPEG": JPEGLosslessSV1}


def set_stream(path, stream: bytes, syntax: str):
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    return path


@pytest.fixture
def compressed(write_ct, phantom, tmp_path):
    """A compressed slice, and its stream, by the name of the compression."""

    def make(name: str, **tags):
        raw = (phantom + 1024).astype("<u2")
        path = write_ct(tmp_path / "a.dcm", **{"PixelRepresentation": 0, "PixelData": raw.tobytes(), **tags})
        if name == "JPEG":
            return set_stream(path, encode(raw), SYNTAXES[name]), encode(raw)
        dataset = pydicom.dcmread(path)
        dataset.compress(SYNTAXES[name], generate_instance_uid=False)
        dataset.save_as(path)
        return path, get_frame(dataset.PixelData, 0, number_of_frames=1)

    return make


def read(path):
    (image,) = read_images(path, 16)
    return read_display(image)[0]


@pytest.mark.parametrize("name", SYNTAXES)
def test_every_lossless_compression_gives_what_was_written(compressed, phantom, name):
    np.testing.assert_array_equal(read(compressed(name)[0]), phantom)


def claim(name: str, stream: bytes, rows: int, columns: int) -> bytes:
    """The stream with another size in its own header."""
    changed = bytearray(stream)
    if name == "J2K":
        place = stream.index(b"\xff\x4f\xff\x51") + 8
        struct.pack_into(">2I", changed, place, columns, rows)
        struct.pack_into(">2I", changed, place + 16, columns, rows)  # one tile
    else:
        marker = b"\xff\xf7" if name == "JPEG-LS" else b"\xff\xc3"
        struct.pack_into(">2H", changed, stream.index(marker) + 5, rows, columns)
    return bytes(changed)


@pytest.mark.parametrize("name", ["J2K", "JPEG-LS", "JPEG"])
@pytest.mark.parametrize("size", [(60000, 60000), (64, 65), (63, 64), (0, 64)])
def test_a_stream_of_another_size_is_refused_before_it_is_decoded(compressed, name, size):
    path, stream = compressed(name)
    set_stream(path, claim(name, stream, *size), SYNTAXES[name])
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(Refused, match=r"compressed pixel data (has .* pixels, the header says|without a readable)"):
        read(path)
    assert time.process_time() - start < 5
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def with_tiles(stream: bytes) -> bytes:
    changed = bytearray(stream)
    struct.pack_into(">2I", changed, stream.index(b"\xff\x4f\xff\x51") + 24, 1, 1)
    return bytes(changed)


def with_layers(stream: bytes) -> bytes:
    changed = bytearray(stream)
    struct.pack_into(">H", changed, stream.index(b"\xff\x52") + 6, 65535)
    return bytes(changed)


def with_samples(stream: bytes) -> bytes:
    changed = bytearray(stream)
    struct.pack_into(">H", changed, stream.index(b"\xff\x4f\xff\x51") + 40, 16384)
    return bytes(changed)


def with_bits(stream: bytes) -> bytes:
    changed = bytearray(stream)
    changed[stream.index(b"\xff\x4f\xff\x51") + 42] = 37
    return bytes(changed)


ENDLESS_BOX = b"\x00\x00\x00\x0c\x6a\x50\x20\x20\x0d\x0a\x87\x0a" + b"\0" * 64  # a box of length 0 never ends


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (with_layers, "more than 256 layers"),
        (with_samples, "has 16384 samples in a pixel"),
        (with_bits, "has 38 bits in a pixel, the header allows 16"),
        (lambda stream: ENDLESS_BOX, "without a readable header"),
        (lambda stream: stream[:30], "without a readable header"),
        (lambda stream: b"\0" * 100, "without a readable header"),
        (lambda stream: stream + b"\0" * 200_000, "longer than the image it holds"),
    ],
)
def test_other_bombs_in_jpeg_2000(compressed, damage, expected):
    path, stream = compressed("J2K")
    with pytest.raises(Refused, match=expected):
        read(set_stream(path, damage(stream), JPEG2000Lossless))


def test_a_million_tiles(compressed):
    path, stream = compressed("J2K", Rows=128, Columns=128, PixelData=b"\0" * 2 * 128 * 128)
    with pytest.raises(Refused, match="more than 4096 tiles"):
        read(set_stream(path, with_tiles(stream), JPEG2000Lossless))


@pytest.mark.parametrize("name", ["JPEG", "JPEG-LS"])
@pytest.mark.parametrize("damage", [b"\xff\xd8", b"\xff\xd8" + b"\xff" * 500, b"\xff\xd8\xff\xe0\0\0" * 50])
def test_a_jpeg_without_a_frame_header(compressed, name, damage):
    path, _ = compressed(name)
    with pytest.raises(Refused, match=r"without a readable header|cannot be decoded"):
        read(set_stream(path, damage, SYNTAXES[name]))


@pytest.mark.parametrize(
    "head", [struct.pack("<16L", 15, *[64] * 15), struct.pack("<16L", 0, *[0] * 15), struct.pack("<3L", 2, 64, 2**31)]
)
def test_a_run_length_header_that_lies(compressed, head):
    path, stream = compressed("RLE")
    with pytest.raises(Refused, match=r"segments, 2 are needed|does not expand"):
        read(set_stream(path, head + stream[len(head) :], RLELossless))


def test_a_run_that_never_ends(compressed):
    """129 zeros from two bytes: the longest that a short stream can become."""
    path, stream = compressed("RLE")
    bomb = stream[:64] + b"\x81\0" * 8000
    with pytest.raises(Refused, match="does not expand to the image"):
        read(set_stream(path, bomb, RLELossless))


@pytest.mark.parametrize("signed", [False, True])
def test_overlay_bits_in_a_jpeg_2000_stream_are_removed(compressed, phantom, signed):
    """A stream of 16 bits in a data set that counts 12: the others hold an overlay (pydicom issue 2260)."""
    stored = phantom.astype("<i2") if signed else (phantom + 1024).astype("<u2")
    with_overlay = (stored.view("<u2") & 0x0FFF) | np.where(phantom == 800, 0x8000, 0).astype("<u2")
    path, _ = compressed(
        "J2K", BitsStored=12, HighBit=11, PixelRepresentation=int(signed), RescaleIntercept=0 if signed else -1024
    )
    stream = encode_array(np.ascontiguousarray(with_overlay), bits_stored=16)
    set_stream(path, bytes(stream), JPEG2000Lossless)
    np.testing.assert_array_equal(read(path), phantom)


def test_both_names_of_jpeg_lossless(compressed, phantom):
    path, stream = compressed("JPEG")
    np.testing.assert_array_equal(read(set_stream(path, stream, JPEGLossless)), phantom)


@pytest.mark.parametrize("place", range(60, 340, 20))
def test_a_damaged_jpeg_ls_stream_is_refused(compressed, place):
    """The decoder that pydicom would try second decodes it to hundreds of HU beside the truth.

    Damage in the last bytes of a stream can pass, as can damage in JPEG 2000 and in literal runs of RLE.
    """
    path, stream = compressed("JPEG-LS")
    start = stream.index(b"\xff\xda") + place
    damaged = stream[:start] + bytes(16) + stream[start + 16 :]
    assert damaged != stream
    with pytest.raises(Refused, match="pixel data cannot be decoded"):
        read(set_stream(path, damaged, JPEGLSLossless))


@pytest.mark.parametrize("place", range(60, 340, 20))
def test_a_damaged_jpeg_lossless_stream_is_refused(compressed, place):
    path, stream = compressed("JPEG")
    start = stream.index(b"\xff\xda") + place
    damaged = stream[:start] + b"\x5a" * 16 + stream[start + 16 :]
    with pytest.raises(Refused, match=r"damaged JPEG lossless stream: (it|a code)|pixel data cannot be decoded"):
        read(set_stream(path, damaged, JPEGLosslessSV1))


def test_decoders_that_differ(compressed, monkeypatch):
    path, _ = compressed("JPEG")
    monkeypatch.setattr(jpeg_lossless, "decode", lambda stream: np.zeros((64, 64), np.uint16))
    with pytest.raises(Refused, match="two decoders differ"):
        read(path)
