"""A second decoder of JPEG lossless (ITU-T T.81, process 14): it refuses what the usual one decodes to anything.

Codes of such a stream carry no checksum, and the usual decoders fill up what is missing and leave what is too much.
This one demands that every code is valid and that the stream ends where the image does.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctmar.dicom.headers import EXPORT_AGAIN
from ctmar.store.machine_code import compiled
from ctmar.store.quarantine import Refused

_START = b"\xff\xd8"
_END, _HUFFMAN, _FRAME, _SCAN, _RESTART = 0xD9, 0xC4, 0xC3, 0xDA, 0xDD
_OTHER_PROCESSES = {*range(0xC0, 0xD0)} - {_HUFFMAN, _FRAME, 0xC8, 0xCC}
_FIRST_RESTART = 0xD0
_LONGEST_CODE, _LARGEST_CATEGORY = 16, 16
_COMPLETE, _BAD_CODE, _TOO_SHORT, _TOO_LONG = range(4)
_NO_HEADER = "its header cannot be read"
_DAMAGED = {
    _BAD_CODE: "a code that its own table does not hold",
    _TOO_SHORT: "it ends before the image does",
    _TOO_LONG: "it does not end where the image does",
}
_Table = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # length and category by the next sixteen bits; length 0: no code


@dataclass
class _Stream:
    """What the segments before the codes say."""

    precision: int = 0
    rows: int = 0
    columns: int = 0
    predictor: int = 0
    point_transform: int = 0
    interval: int = 0  # pixels between two restarts; 0: none


def decode(stream: bytes) -> NDArray[np.uint16] | None:
    """Decode a stream of one component.

    Args:
        stream: from the start to the end of the image, perhaps with padding behind.

    Returns:
        Values (rows, columns); None where the stream is of another process or has several components.

    Raises:
        Refused: the stream is damaged.
    """
    try:
        return _decode(stream)
    except (struct.error, IndexError, KeyError, ValueError):
        raise _damaged(_NO_HEADER) from None


def _damaged(how: str) -> Refused:
    return Refused(f"damaged JPEG lossless stream: {how}", EXPORT_AGAIN)


def _decode(stream: bytes) -> NDArray[np.uint16] | None:
    found, tables = _Stream(), dict[int, _Table]()
    for marker, segment, end in _segments(stream):
        if marker == _HUFFMAN:
            tables |= _tables(segment)
        elif marker == _RESTART:
            found.interval = struct.unpack(">H", segment)[0]
        elif marker == _FRAME:
            found.precision, found.rows, found.columns, n_components = struct.unpack_from(">BHHB", segment)
            if n_components != 1:
                return None
        elif marker in _OTHER_PROCESSES:
            return None
        elif marker == _SCAN:
            found.predictor, found.point_transform = segment[3], segment[5] & 15
            return _decode_codes(stream[end:], found, tables[segment[2] >> 4])
    return None


def _segments(stream: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Marker and content of each segment of the header, and where it ends."""
    if stream[:2] != _START:
        raise _damaged(_NO_HEADER)
    place = len(_START)
    while True:
        if stream[place] != 0xFF:
            raise _damaged(_NO_HEADER)
        if stream[place + 1] == 0xFF:  # a fill byte
            place += 1
            continue
        end = place + 2 + max(2, struct.unpack_from(">H", stream, place + 2)[0])
        yield stream[place + 1], stream[place + 4 : end], end
        place = end


def _tables(segment: bytes) -> dict[int, _Table]:
    """Each table of a segment (T.81 annex C)."""
    tables = {}
    while segment:
        counts = segment[1:17]
        categories = segment[17 : 17 + sum(counts)]
        lengths, meanings = np.zeros(2**_LONGEST_CODE, np.uint8), np.zeros(2**_LONGEST_CODE, np.uint8)
        code, used = 0, 0
        for length, count in enumerate(counts, 1):
            width = 1 << (_LONGEST_CODE - length)
            for category in categories[used : used + count]:
                if code + width > 2**_LONGEST_CODE or category > _LARGEST_CATEGORY:
                    raise _damaged("its table of codes is impossible")
                lengths[code : code + width], meanings[code : code + width] = length, category
                code += width
            used += count
        if used != len(categories) or used == 0:
            raise _damaged("its table of codes is impossible")
        tables[segment[0] & 15] = lengths, meanings
        segment = segment[17 + used :]
    return tables


def _decode_codes(codes: bytes, found: _Stream, table: _Table) -> NDArray[np.uint16]:
    interval = found.interval or found.rows * found.columns
    if found.rows * found.columns == 0 or interval % found.columns or not 1 <= found.predictor <= 7:
        raise _damaged(_NO_HEADER)
    differences = np.empty(found.rows * found.columns, np.int32)
    done = 0
    for number, part in enumerate(_intervals(codes)):
        wanted = differences[done : done + interval]
        outcome = _read_differences(part, *table, wanted)
        if outcome != _COMPLETE or (number and done == len(differences)):
            raise _damaged(_DAMAGED[outcome or _TOO_LONG])
        done += len(wanted)
    if done < len(differences):
        raise _damaged(_DAMAGED[_TOO_SHORT])
    values = np.empty((found.rows, found.columns), np.uint16)
    first = 1 << (found.precision - found.point_transform - 1)
    _reconstruct(differences.reshape(values.shape), first, found.predictor, interval // found.columns, values)
    return values << np.uint16(found.point_transform)


def _intervals(codes: bytes) -> list[NDArray[np.uint8]]:
    """Codes between restarts without stuffed zeros; what follows the end of the image is padding of the data set."""
    content = np.frombuffer(codes, np.uint8)
    marks = np.flatnonzero((content[:-1] == 0xFF) & (content[1:] != 0))
    parts, start = [], 0
    for number, place in enumerate(marks.tolist()):
        parts.append(_unstuffed(content[start:place]))
        start = place + 2
        if content[place + 1] == _END:
            if not np.isin(content[start:], (0, 0xFF)).all():
                raise _damaged(_DAMAGED[_TOO_LONG])
            return parts
        if content[place + 1] != _FIRST_RESTART + number % 8:
            raise _damaged("a marker among its codes")
    raise _damaged("it has no end")


def _unstuffed(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    stuffed = np.zeros(len(content), np.bool_)
    stuffed[1:] = content[:-1] == 0xFF  # no marker is left, so a zero follows
    return content[~stuffed]


@compiled
def _read_differences(codes, lengths, categories, differences):  # type: ignore[no-untyped-def]
    """Fill the differences; how the codes ended."""
    n_bits, place, held, window = len(codes) * 8, 0, 0, np.uint64(0)
    following = 0
    for number in range(len(differences)):
        while held < 32:
            byte = codes[following] if following < len(codes) else np.uint8(255)
            window = (window << np.uint64(8)) | np.uint64(byte)
            following += 1
            held += 8
        peek = np.int64((window >> np.uint64(held - 16)) & np.uint64(0xFFFF))
        length, category = np.int64(lengths[peek]), np.int64(categories[peek])
        if length == 0:
            return _TOO_SHORT if place + 16 > n_bits else _BAD_CODE
        held -= length
        place += length
        difference = 32768 if category == 16 else 0
        if 0 < category < 16:
            extra = np.int64((window >> np.uint64(held - category)) & np.uint64((1 << category) - 1))
            difference = extra if extra >> (category - 1) else extra - (1 << category) + 1
            held -= category
            place += category
        if place > n_bits:
            return _TOO_SHORT
        differences[number] = difference
    n_left = n_bits - place
    if n_left >= 8:
        return _TOO_LONG
    # the rest of the last byte is ones (T.81 F.1.2.3); zeros may be codes of pixels that are too many
    ones = (1 << n_left) - 1
    return _COMPLETE if n_left == 0 or codes[-1] & ones == ones else _TOO_LONG


@compiled
def _reconstruct(differences, first, predictor, rows_between_restarts, values):  # type: ignore[no-untyped-def]
    """Values from differences, modulo 2^16 (T.81 H.1.2.1 and table H.1)."""
    for row in range(differences.shape[0]):
        starts = row % rows_between_restarts == 0
        for column in range(differences.shape[1]):
            if starts:
                predicted = np.int64(values[row, column - 1]) if column else first
            elif column == 0:
                predicted = np.int64(values[row - 1, 0])
            else:
                left, above = np.int64(values[row, column - 1]), np.int64(values[row - 1, column])
                corner = np.int64(values[row - 1, column - 1])
                if predictor == 1:
                    predicted = left
                elif predictor == 2:
                    predicted = above
                elif predictor == 3:
                    predicted = corner
                elif predictor == 4:
                    predicted = left + above - corner
                elif predictor == 5:
                    predicted = left + ((above - corner) >> 1)
                elif predictor == 6:
                    predicted = above + ((left - corner) >> 1)
                else:
                    predicted = (left + above) >> 1
            values[row, column] = (predicted + differences[row, column]) & 0xFFFF
