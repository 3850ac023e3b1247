"""Stored values of one image: decoded within bounds, unused bits removed, padding told apart."""

from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID, JPEGLossless, JPEGLosslessSV1, JPEGLSTransferSyntaxes

from ctmar.dicom.headers import EXPORT_AGAIN, Image, text
from ctmar.dicom.padding import Range, find_padding
from ctmar.dicom.streams import check_stream
from ctmar.store.quarantine import Refused

_PIXEL_DATA = 0x7FE00010
_JPEG_LOSSLESS = (JPEGLossless, JPEGLosslessSV1)
# What is needed to decode an image and to bring it to Hounsfield numbers.
TAGS = [
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
]


@dataclass(frozen=True)
class StoredPixels:
    """Stored values (rows, columns) and where they are padding.

    Attributes:
        values: without the bits beyond BitsStored, except in padding, which keeps the value it has in the file.
        is_padding: where no CT was reconstructed.
        padding: which values are padding; None where the header names none.
    """

    values: NDArray[np.integer]
    is_padding: NDArray[np.bool_]
    padding: Range | None


def read_stored(image: Image, whole_header: bool = False) -> tuple[Dataset, StoredPixels]:
    """The header and the stored values of an image.

    Args:
        image: a file of one image, or a frame of enhanced CT.
        whole_header: parse all tags, not only those that pixels need.

    Raises:
        Refused: the compressed stream contradicts the header, or is damaged in a way that can be told.
        Exception: nearly any, where the file is damaged.
    """
    with image.path.open("rb") as file:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=None if whole_header else TAGS)
        encoded = _encoded_frame(file, header, max(0, image.frame))
    syntax, stream = UID(text(header.file_meta, "TransferSyntaxUID")), None
    if syntax.is_encapsulated:
        stream = encoded
        check_stream(stream, syntax, image.rows, image.columns, int(header.BitsAllocated))
        encoded = encapsulate([stream])
    raw = _decode(header, encoded, syntax)
    if raw.shape != (image.rows, image.columns):
        raise Refused("decoded pixel data has another shape than the header says", EXPORT_AGAIN)
    if stream is not None and syntax in _JPEG_LOSSLESS:
        _decode_again(stream, raw)
    values = _used_bits(raw, int(header.BitsStored))
    is_padding, padding = find_padding(raw, values, header, rescale_of(header, image))
    return header, StoredPixels(np.where(is_padding, raw, values) if padding else values, is_padding, padding)


def rescale_of(header: Dataset, image: Image) -> tuple[float, float]:
    """Slope and intercept: of a frame its own group's, whatever the top level of the file says besides."""
    return image.rescale or (float(header.RescaleSlope), float(header.RescaleIntercept))


def _encoded_frame(file: IO[bytes], header: Dataset, frame: int) -> bytes:
    """Bytes of one frame; the file stands at its pixel data."""
    syntax = UID(text(header.file_meta, "TransferSyntaxUID"))
    endianness: Literal["little", "big"] = "little" if syntax.is_little_endian else "big"
    head = file.read(8 if syntax.is_implicit_VR else 12)
    group, element = (int.from_bytes(head[start : start + 2], endianness) for start in (0, 2))
    if group << 16 | element != _PIXEL_DATA:
        raise ValueError("no pixel data")
    n_frames = int(header.get("NumberOfFrames") or 1)
    if syntax.is_encapsulated:
        offsets = None
        if "ExtendedOffsetTable" in header:
            offsets = (header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths)
        return get_frame(file, frame, number_of_frames=n_frames, extended_offsets=offsets)
    n_bytes = int(header.Rows) * int(header.Columns) * int(header.BitsAllocated) // 8
    file.seek(frame * n_bytes, 1)
    return file.read(min(n_bytes, int.from_bytes(head[-4:], endianness)))


def _decode(header: Dataset, encoded: bytes, syntax: UID) -> NDArray[np.integer]:
    options: dict[str, Any] = as_pixel_options(header, number_of_frames=1)
    options.pop("extended_offsets", None)
    options |= {"pixel_keyword": "PixelData", "pixel_vr": "OW", "transfer_syntax_uid": syntax}
    # pydicom corrects the sign of JPEG 2000 samples that contradict PixelRepresentation; unused bits are removed later,
    # because padding may need them
    options["correct_unused_bits"] = False
    if syntax in JPEGLSTransferSyntaxes:
        # it refuses a damaged stream; pydicom's second choice, tried after a refusal, decodes it to something else
        options["decoding_plugin"] = "pyjpegls"
    array, _ = get_decoder(syntax).as_array(encoded, index=0, **options)
    return array


def _decode_again(stream: bytes, raw: NDArray[np.integer]) -> None:
    """Refuse a damaged stream of JPEG lossless, which the decoder of pydicom decodes to anything.

    Raises:
        Refused: the second decoder finds damage, or another value.
    """
    # imported here: numba takes half a second to load, and few files need it
    from ctmar.dicom.jpeg_lossless import decode

    again = decode(stream)
    if again is not None and not np.array_equal(raw.astype(np.uint16), again):  # as it is stored, without a sign
        raise Refused("damaged JPEG lossless stream: two decoders differ", EXPORT_AGAIN)


def _used_bits(raw: NDArray[np.integer], bits_stored: int) -> NDArray[np.integer]:
    """The lower ``bits_stored`` bits, with their sign: the rest may hold an overlay or anything else (PS3.5 8.1.1)."""
    n_unused = 8 * raw.dtype.itemsize - bits_stored
    if not 0 <= n_unused < 8 * raw.dtype.itemsize:
        raise ValueError("BitsStored does not fit BitsAllocated")
    return np.right_shift(np.left_shift(raw, n_unused), n_unused) if n_unused else raw
