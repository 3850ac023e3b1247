"""Image metrics of the user's own, which a configuration names by import path."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ctmar.config.own_code import load_object
from ctmar.errors import InputError

KEY = "evaluation.metrics"
SIDE = 32  # pixels of the example on which a metric is tried
OwnMetric = Callable[..., Any]


def check_own_metric(text: str) -> None:
    """Load a metric and try it on a small example with metal.

    Raises:
        InputError: there is no such function, it fails, or what it returns is no finite number.

    Examples:
        >>> check_own_metric("math:pi")
        Traceback (most recent call last):
        ctmar.errors.InputError: evaluation.metrics: expected a function of images for 'math:pi', found float
    """
    random = np.random.default_rng(0)
    truth = random.uniform(0.0, 0.4, (SIDE, SIDE))  # 1/cm, from air to bone
    prediction = truth + random.normal(0.0, 0.01, truth.shape)
    metal = np.zeros(truth.shape, bool)
    metal[12:16, 10:20] = True
    value = measure_own(text, prediction, truth, metal)
    if not np.isfinite(value):
        raise InputError(f"{KEY}: '{text}': expected a finite number on a small example, found {value}")


def measure_own(text: str, prediction: ArrayLike, truth: ArrayLike, metal: ArrayLike) -> float:
    """One metric of one image; NaN where the image has no value, such as a region without pixels.

    Args:
        text: import path of the metric. It gets copies: prediction and truth as float64 in 1/cm, metal as bool.
        prediction: image in 1/cm, shape (h, w).
        truth: artefact-free image in 1/cm, shape (h, w).
        metal: non-zero where there is metal, shape (h, w).

    Raises:
        InputError: there is no such function, it fails, or what it returns is no number or infinite.
    """
    function = load_object(text, KEY)
    if not callable(function):
        raise InputError(f"{KEY}: expected a function of images for '{text}', found {type(function).__name__}")
    images = np.array(prediction, np.float64), np.array(truth, np.float64)
    try:
        value = function(*images, np.array(metal, bool))
    except Exception as error:  # somebody's own code can raise anything
        message = " ".join(str(error).split())
        raise InputError(f"{KEY}: '{text}' fails on an image: {type(error).__name__}: {message}") from None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        raise InputError(f"{KEY}: '{text}': expected a number, found {type(value).__name__}")
    if np.isinf(value):
        raise InputError(f"{KEY}: '{text}': expected a finite number, found {float(value)}")
    return float(value)
