"""What a compressed stream says of itself, read before any decoder reserves memory for it."""

import struct

from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from ctmar.dicom.headers import EXPORT_AGAIN
from ctmar.store.quarantine import Refused

_HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_CODESTREAM = b"\xff\x4f\xff\x51"  # SOC and SIZ of JPEG 2000
_CODING_STYLE, _START_OF_TILE = b"\xff\x52", b"\xff\x90"
_LARGEST_SIGNATURE = 4096  # boxes of a JP2 file before its codestream
# Frame headers of JPEG (T.81 table B.1: SOF0 to SOF15 without DHT, JPG and DAC) and of JPEG-LS.
_START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_LARGEST_EXPANSION = 2  # what is stored as noise grows a little when it is compressed, never to twice its size
_SPARE_BYTES = 2**16
_LARGEST_TILES = 4096

_LARGEST_LAYERS = 256  # decoders reserve memory for each layer of each precinct

_TOO_LONG = "compressed pixel data is longer than the image it holds"
_UNREADABLE = "compressed pixel data without a readable header"


def check_stream(stream: bytes, syntax: UID, rows: int, columns: int, bits_allocated: int) -> None:
    """Refuse a compressed frame whose own header contradicts the data set: a decoder believes the stream.

    Args:
        stream: one compressed frame.
        syntax: its transfer syntax.
        rows: of the data set.
        columns: of the data set.
        bits_allocated: of the data set.

    Raises:
        Refused: another size, several samples or more bits; or a header that cannot be read.
    """
    if len(stream) > _LARGEST_EXPANSION * rows * columns * bits_allocated // 8 + _SPARE_BYTES:
        raise Refused(_TOO_LONG, EXPORT_AGAIN)
    try:
        if syntax in JPEG2000TransferSyntaxes or syntax in _HTJ2K:
            found = _jpeg_2000(stream)
        elif syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
            found = _jpeg(stream)
        elif syntax == RLELossless:
            return _check_rle(stream, rows * columns, bits_allocated)
        else:
            return
    except (struct.error, IndexError):
        raise Refused(_UNREADABLE, EXPORT_AGAIN) from None
    _compare(found, rows, columns, bits_allocated)


def _compare(found: tuple[int, int, int, int], rows: int, columns: int, bits_allocated: int) -> None:
    height, width, n_samples, n_bits = found
    if (height, width) != (rows, columns):
        reason = f"compressed pixel data has {height} × {width} pixels, the header says {rows} × {columns}"
        raise Refused(reason, EXPORT_AGAIN)
    if n_samples != 1:
        raise Refused(f"compressed pixel data has {n_samples} samples in a pixel, 1 is needed", EXPORT_AGAIN)
    if n_bits > bits_allocated:
        reason = f"compressed pixel data has {n_bits} bits in a pixel, the header allows {bits_allocated}"
        raise Refused(reason, EXPORT_AGAIN)


def _jpeg_2000(stream: bytes) -> tuple[int, int, int, int]:
    """Height, width, samples and bits from the SIZ marker (ISO/IEC 15444-1, A.5.1)."""
    start = stream.find(_CODESTREAM, 0, _LARGEST_SIGNATURE)
    if start < 0:
        raise Refused(_UNREADABLE, EXPORT_AGAIN)
    x1, y1, x0, y0, tile_x1, tile_y1, tile_x0, tile_y0, n_samples = struct.unpack_from(">8IH", stream, start + 8)
    precision = (stream[start + 42] & 0x7F) + 1
    if tile_x1 == 0 or tile_y1 == 0 or max(x0, tile_x0) > x1 or max(y0, tile_y0) > y1:
        raise Refused(_UNREADABLE, EXPORT_AGAIN)
    if -(-(x1 - tile_x0) // tile_x1) * -(-(y1 - tile_y0) // tile_y1) > _LARGEST_TILES:
        raise Refused(f"compressed pixel data has more than {_LARGEST_TILES} tiles", EXPORT_AGAIN)
    if _layers(stream, start + 2) > _LARGEST_LAYERS:
        raise Refused(f"compressed pixel data has more than {_LARGEST_LAYERS} layers", EXPORT_AGAIN)
    return y1 - y0, x1 - x0, n_samples, precision


def _layers(stream: bytes, place: int) -> int:
    """Quality layers from the COD marker of the main header (ISO/IEC 15444-1, A.6.1)."""
    while stream[place : place + 2] != _CODING_STYLE:
        if stream[place] != 0xFF or stream[place : place + 2] == _START_OF_TILE:
            raise Refused(_UNREADABLE, EXPORT_AGAIN)
        place += 2 + struct.unpack_from(">H", stream, place + 2)[0]
    return struct.unpack_from(">H", stream, place + 6)[0]


def _jpeg(stream: bytes) -> tuple[int, int, int, int]:
    """Height, width, samples and bits from the frame header (T.81, B.2.2; T.87, C.2.2)."""
    place = stream.index(b"\xff\xd8") + 2 if stream[:2] == b"\xff\xd8" else len(stream)
    while True:
        if stream[place] != 0xFF:
            raise Refused(_UNREADABLE, EXPORT_AGAIN)
        marker = stream[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker in _START_OF_FRAME:
            precision, height, width, n_samples = struct.unpack_from(">BHHB", stream, place + 4)
            return height, width, n_samples, precision
        elif marker in _WITHOUT_LENGTH:
            place += 2
        else:
            place += 2 + max(2, struct.unpack_from(">H", stream, place + 2)[0])


def _check_rle(stream: bytes, n_pixels: int, bits_allocated: int) -> None:
    """One segment for each byte of a pixel (PS3.5 annex G), each of which expands to one byte for every pixel."""
    n_segments, *offsets = struct.unpack_from("<16L", stream)
    if n_segments != bits_allocated // 8:
        reason = f"compressed pixel data has {n_segments} segments, {bits_allocated // 8} are needed"
        raise Refused(reason, EXPORT_AGAIN)
    ends = [*offsets[1:n_segments], len(stream)]
    for start, end in zip(offsets, ends, strict=False):
        if not 64 <= start < end or not _expands_to(stream, start, end, n_pixels):
            raise Refused("compressed pixel data does not expand to the image that the header tells of", EXPORT_AGAIN)


def _expands_to(stream: bytes, place: int, end: int, n_pixels: int) -> bool:
    """Whether PackBits runs become exactly so many bytes, a byte of padding at the end apart."""
    n_bytes = 0
    while n_bytes < n_pixels and place < end:
        control = stream[place]
        n_bytes += control + 1 if control < 128 else 257 - control if control > 128 else 0
        place += control + 2 if control < 128 else 2 if control > 128 else 1
    return n_bytes == n_pixels and end - 1 <= place <= end
