"""Damaged JPEG lossless: the usual decoder gives other numbers without a word, the second one refuses."""

from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array
from tests.ctmar.dicom.jpeg_lossless import encode

from ctmar.dicom.jpeg_lossless import decode
from ctmar.store.quarantine import Refused

FILES = ("WG04_CT1_JPLL.dcm", "WG04_CT2_JPLL.dcm")
N_DAMAGES = 60


@pytest.fixture
def made() -> tuple[bytes, np.ndarray]:
    """Noise in a circle, and its stream."""
    rows, columns = np.mgrid[:128, :128]
    inside = (rows - 64) ** 2 + (columns - 64) ** 2 < 60**2
    image = np.where(inside, np.random.default_rng(1).normal(1000, 20, inside.shape), 0).astype(np.uint16)
    return encode(image), image


@pytest.fixture(params=["made", *FILES])
def sound(request, made) -> tuple[bytes, np.ndarray]:
    """A stream that is as it was written, and its values: our own, or of the files of DICOM's working group 4."""
    if request.param == "made":
        return made
    dataset = pydicom.dcmread(request.getfixturevalue("shared") / "edge_cases" / request.param)
    return get_frame(dataset.PixelData, 0, number_of_frames=1), pixel_array(dataset, raw=True).view(np.uint16)


def refusal(stream: bytes) -> str:
    """Why a stream is refused; empty where it is not."""
    try:
        decode(stream)
    except Refused as refused:
        return refused.reason
    return ""


def damaged(stream: bytes, make: Callable[[np.random.Generator], bytes]) -> list[bytes]:
    """The stream with some bytes of its codes replaced, at places drawn from a seed."""
    rng, start = np.random.default_rng(0), stream.index(b"\xff\xda") + 10
    found: list[bytes] = []
    while len(found) < N_DAMAGES:
        content = make(rng)
        place = int(rng.integers(start, len(stream) - len(content) - 3))
        changed = stream[:place] + content + stream[place + len(content) :]
        if changed != stream:
            found.append(changed)
    return found


def test_both_decoders_give_the_same(sound):
    stream, values = sound
    np.testing.assert_array_equal(decode(stream), values)
    np.testing.assert_array_equal(decode(stream + b"\xff"), values)  # fragments have an even number of bytes
    np.testing.assert_array_equal(decode(stream + b"\0" * 7), values)


def test_sixteen_zeroed_bytes_are_refused(sound):
    reasons = [refusal(stream) for stream in damaged(sound[0], lambda rng: bytes(16))]
    assert sum(map(bool, reasons)) >= 0.95 * N_DAMAGES
    assert all(reason.startswith("damaged JPEG lossless stream: ") for reason in reasons if reason)


@pytest.mark.parametrize("n_bytes", [1, 16])
def test_what_passes_of_other_damage_changes_little(sound, n_bytes):
    """Bits of a difference can change without a trace; the rest of one row is then off by what they say."""
    stream, values = sound
    passed = [changed for changed in damaged(stream, lambda rng: rng.bytes(n_bytes)) if not refusal(changed)]
    assert len(passed) <= (0.5 if n_bytes == 1 else 0.15) * N_DAMAGES
    for changed in passed:
        error = (decode(changed) - values).view(np.int16)
        assert np.abs(error.astype(float)).mean() < 20


def codes_of(stream: bytes) -> tuple[bytes, bytes]:
    """The stream up to its codes, and the codes with what follows."""
    start = stream.index(b"\xff\xda") + 10
    return stream[:start], stream[start:]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda head, codes: head + codes[:-2], "it has no end"),
        (lambda head, codes: head + codes[:-40] + b"\xff\xd9", "it ends before the image does"),
        (lambda head, codes: head + codes[:-2] + b"\x12\xff\xd9", "it does not end where the image does"),
        (lambda head, codes: head + codes + b"\x12", "it does not end where the image does"),
        (lambda head, codes: head + codes[:50] + b"\xff\xd0" + codes[50:], "it ends before the image does"),
        (lambda head, codes: head + codes[:50] + b"\xff\xc4" + codes[50:], "a marker among its codes"),
        (lambda head, codes: head + codes[:50] + b"\xfe" * 3 + codes[50:], "a code that its own table does not hold"),
        (lambda head, codes: head[:-10] + codes, "its header cannot be read"),
        (lambda head, codes: head[:-3] + b"\x10" + head[-2:] + codes, "its header cannot be read"),
        (lambda head, codes: head.replace(b"\xff\xc4\0\x24\0\0", b"\xff\xc4\0\x24\0\x05"), "its table of codes"),
    ],
)
def test_each_kind_of_damage_is_named(made, damage, expected):
    assert expected in refusal(damage(*codes_of(made[0])))


def test_a_difference_of_32768_has_no_bits_of_its_own():
    image = np.array([[0, 32768, 65535], [32767, 1, 40000]], np.uint16)
    np.testing.assert_array_equal(decode(encode(image)), image)


def predicted(left: int, above: int, corner: int) -> list[int]:
    """Table H.1 of T.81, in its order."""
    a, b, c = left, above, corner
    return [a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) // 2]


@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_predictor(made, predictor):
    """The differences of the stream, added up by another rule: its values are those of a loop over the standard."""
    image = made[1][:20, :20].astype(int) + 300
    stream = bytearray(encode(image))
    stream[stream.index(b"\xff\xda") + 7] = predictor
    differences = np.diff(image, axis=1, prepend=np.vstack([[32768], image[:-1, :1]]))
    expected = np.zeros_like(image)
    for row, column in np.ndindex(image.shape):
        if row and column:
            neighbours = expected[row, column - 1], expected[row - 1, column], expected[row - 1, column - 1]
            guess = predicted(*neighbours)[predictor - 1]
        else:
            guess = expected[row, column - 1] if column else expected[row - 1, 0] if row else 32768
        expected[row, column] = (guess + differences[row, column]) % 65536
    np.testing.assert_array_equal(decode(bytes(stream)), expected)


def test_restarts_begin_anew():
    """Every row by itself: the parts of one-row streams, joined by restart markers."""
    image = np.random.default_rng(2).integers(0, 4000, (12, 9)).astype(np.uint16)
    heads, codes = zip(*(codes_of(encode(image[row : row + 1])) for row in range(12)), strict=True)
    head = bytearray(heads[0])
    head[head.index(b"\xff\xc3") + 6] = 12
    start = head.index(b"\xff\xda")
    body = b"".join(part[:-2] + bytes([0xFF, 0xD0 + number % 8]) for number, part in enumerate(codes))[:-2]
    restart = b"\xff\xdd\0\4\0\x09"
    stream = bytes(head[:start]) + restart + bytes(head[start:]) + body + b"\xff\xd9"
    np.testing.assert_array_equal(decode(stream), image)
    assert "marker among" in refusal(stream.replace(b"\xff\xd3", b"\xff\xd5"))


def test_other_processes_are_left_to_their_decoder(made):
    assert decode(made[0].replace(b"\xff\xc3", b"\xff\xc1")) is None
