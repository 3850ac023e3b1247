"""Arrays to pictures: CT window, error colours, metal outlines, and images inlined as data addresses."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import find_contours

LOSSLESS_UP_TO = 128  # pixels; above, WebP at QUALITY is a quarter of the bytes and visually the same
QUALITY = 85
# Ends of the error colours: Okabe and Ito's blue and vermilion, which colour-blind readers tell apart
TOO_LOW = (0, 114, 178)
TOO_HIGH = (213, 94, 0)
NO_ERROR = (247, 247, 247)


def window_image(image_hu: NDArray[np.floating], window_hu: tuple[float, float]) -> NDArray[np.uint8]:
    """Grey values of a CT window: the lower limit is black, the upper white.

    Args:
        image_hu: any shape [HU].
        window_hu: lower and upper limit [HU].

    Returns:
        Grey values of the same shape.

    Examples:
        >>> window_image(np.array([-500.0, 0.0, 50.0, 500.0]), (0.0, 100.0)).tolist()
        [0, 0, 128, 255]
    """
    low, high = window_hu
    return np.round(np.clip((image_hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def error_image(error_hu: NDArray[np.floating], limit_hu: float) -> NDArray[np.uint8]:
    """Colours of a signed error: blue below the truth, near-white at zero, vermilion above.

    Args:
        error_hu: prediction minus truth, shape (h, w) [HU].
        limit_hu: magnitude at which the colours saturate [HU].

    Returns:
        RGB, shape (h, w, 3).

    Examples:
        >>> error_image(np.array([[-200.0, 0.0, 900.0]]), 200.0).tolist()
        [[[0, 114, 178], [247, 247, 247], [213, 94, 0]]]
    """
    share = np.clip(error_hu / limit_hu, -1, 1)[..., None]
    end = np.where(share < 0, np.array(TOO_LOW), np.array(TOO_HIGH))
    colours = np.array(NO_ERROR) + np.abs(share) * (end - np.array(NO_ERROR))
    return np.round(colours).astype(np.uint8)


def data_address(pixels: NDArray[np.uint8], quality: int | None = None, shrink: int = 1) -> str:
    """A picture as a WebP ``data:`` address.

    Args:
        pixels: grey values (h, w) or RGB (h, w, 3).
        shrink: blocks of this many pixels a side become one.
        quality: 0 to 100; None is lossless up to `LOSSLESS_UP_TO` pixels a side and `QUALITY` above.

    Examples:
        >>> data_address(np.zeros((4, 4), np.uint8))[:23]
        'data:image/webp;base64,'
    """
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels).reduce(shrink)
    lossless = quality is None and max(picture.size) <= LOSSLESS_UP_TO
    chosen = 100 if lossless else QUALITY if quality is None else quality
    picture.save(buffer, "WEBP", lossless=lossless, quality=chosen, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def outline_path(mask: NDArray[np.uint8]) -> str:
    """The border of a mask as SVG path data, in pixels with the origin at the top left corner of the image.

    Args:
        mask: non-zero inside, shape (h, w).

    Examples:
        >>> outline_path(np.array([[1]], np.uint8))
        'M0.5 1L0 0.5L0.5 0L1 0.5L0.5 1Z'
    """
    # the frame of zeros closes contours that touch the border of the image
    contours = find_contours(np.pad(np.asarray(mask, float), 1), 0.5)
    return "".join(
        "M" + "L".join(f"{column - 0.5:g} {row - 0.5:g}" for row, column in contour) + "Z" for contour in contours
    )
