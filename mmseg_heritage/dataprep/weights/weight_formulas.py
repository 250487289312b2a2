"""Class weights from pixel counts: the formulas, and the JSON file that carries the result.

A class without a single pixel has no frequency to invert. Every formula gives it the weight 0,
which the losses read as "takes no part", and computes the other weights as if the class were not
listed; the weight is never infinite. What to count is for
:mod:`mmseg_heritage.dataprep.weights.weight_files`; this needs numpy only.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import write_json

SCHEMA = "mmseg_heritage/class_weights/1"

PerClass = NDArray[np.float64]


def _scaled(weights: PerClass) -> PerClass:
    """Scales weights to a mean of 1, so that the loss keeps its size whatever the formula."""
    scaled: PerClass = weights * (weights.size / weights.sum())
    return scaled


def inverse(counts: PerClass) -> PerClass:
    """``1 / n_c``: every class gets the same total weight, however rare it is."""
    return 1.0 / counts


def inverse_sqrt(counts: PerClass) -> PerClass:
    """``n_c ** -1/2``: the ratio of two weights is the root of the ratio of their counts."""
    return 1.0 / np.sqrt(counts)


def inverse_sqrt_log_scaled(counts: PerClass) -> PerClass:
    """``ln(1 + 10 s_c)``, where ``s_c`` is the inverse root scaled to a mean of 1.

    The logarithm compresses the rare end only: for frequent classes ``ln(1 + 10 s)`` is about
    ``10 s``, for very rare ones it grows slowly, so that a handful of pixels cannot dominate.
    """
    return np.log1p(10.0 * _scaled(inverse_sqrt(counts)))


def effective_samples(counts: PerClass) -> PerClass:
    """``(1 - b) / (1 - b ** n_c)`` with ``b = 0.9999``.

    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equation 4.
    Above some 50,000 pixels a class counts as common, whatever its number, so that only the very
    rarest classes of a data set weigh more than the others.
    """
    beta = 0.9999
    # 1 - b ** n, without the loss of digits where n is small.
    return (1 - beta) / -np.expm1(counts * math.log(beta))


def median_frequency(frequencies: PerClass) -> PerClass:
    """``median(f) / f_c``, where ``f_c`` is the share of class c in the images that have it.

    Eigen and Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a Common
    Multi-Scale Convolutional Architecture", ICCV 2015, section 6.3.2. A class that is in few
    images, but covers much of them, counts as frequent.
    """
    return np.median(frequencies) / frequencies


FORMULAS: dict[str, Callable[[PerClass], PerClass]] = {
    "inverse": inverse,
    "inverse_sqrt": inverse_sqrt,
    "effective_samples": effective_samples,
    "inverse_sqrt_log_scaled": inverse_sqrt_log_scaled,
    "median_frequency": median_frequency,
}
"""Name -> function from pixel counts (all above 0, in pixels) to weights of any positive scale.

:func:`class_weights` takes care of empty classes, of limits and of the scale, so a new formula is
one line. ``median_frequency`` is given shares instead of counts.
"""


def class_weights(
    pixel_counts: Sequence[int] | NDArray[Any],
    formula: str = "inverse_sqrt_log_scaled",
    *,
    image_pixels: Sequence[int] | NDArray[Any] | None = None,
    max_ratio: float | None = None,
) -> list[float]:
    """Computes one weight per class, with a mean of 1 over the classes that have pixels.

    Args:
        pixel_counts: Pixels of each class in the training set, in class order; ignored pixels are
            not part of it.
        formula: A name in :data:`FORMULAS`.
        image_pixels: For each class, all pixels that are not ignored, in the images that have the
            class. Needed by ``median_frequency`` only.
        max_ratio: Largest allowed ratio of two weights above 0: those of the rarest classes are
            lowered to it. None sets no limit.

    Returns:
        The weights in class order. Classes without pixels have weight 0 (take no part); the others
        sum to their number, which is the number of classes where none is empty.

    Raises:
        InputError: If the formula is unknown, if the counts are not whole numbers from 0 upwards
            with at least one above 0, if image pixels are needed and absent or smaller than the
            counts, or if the ratio is below 1.
    """
    if formula not in FORMULAS:
        raise InputError(
            f"There is no class-weight formula {formula!r}. Choose one of: {', '.join(FORMULAS)}."
        )
    if max_ratio is not None and not 1 <= max_ratio < math.inf:
        raise InputError(f"The largest ratio of two weights is a number from 1, found {max_ratio}.")
    counts = _counts(pixel_counts)
    present = counts > 0
    if not present.any():
        raise InputError(f"No class has a pixel, among {len(counts)} classes: nothing to weigh.")
    basis = counts
    if formula == "median_frequency":
        basis = _shares_of_images(counts, image_pixels)
    used = FORMULAS[formula](basis[present])
    if max_ratio is not None:
        used = np.minimum(used, max_ratio * used.min())
    weights = np.zeros_like(counts)
    weights[present] = _scaled(used)
    return [float(weight) for weight in weights]


def _counts(pixel_counts: Sequence[int] | NDArray[Any]) -> PerClass:
    """Checks that counts are counts."""
    values = list(pixel_counts)
    problems = [
        f"class {index}: {value!r}" for index, value in enumerate(values) if not _is_count(value)
    ]
    if problems:
        raise InputError("Pixel counts must be whole numbers from 0 upwards.", problems)
    return np.asarray(values, dtype=np.float64)


def _shares_of_images(
    counts: PerClass, image_pixels: Sequence[int] | NDArray[Any] | None
) -> PerClass:
    """Returns the share of each class in the images that have it, and 0 for classes in none."""
    if image_pixels is None:
        raise InputError(
            "median_frequency needs the pixels of the images that have each class: image_pixels"
        )
    totals = _counts(image_pixels)
    if totals.shape != counts.shape or (totals < counts).any():
        raise InputError(
            "The images that have a class have at least its pixels; "
            f"found image_pixels {list(image_pixels)} for pixel_counts {counts.tolist()}."
        )
    return counts / np.maximum(totals, 1)


@dataclass(frozen=True)
class WeightFile:
    """A file of class weights, as it was read at one time.

    Attributes:
        weights: In class order, as :func:`load_class_weights` returns them.
        details: The other keys of the file; empty for a bare list.
        sha256: Of the file, as hex.
    """

    weights: list[float]
    details: dict[str, Any]
    sha256: str


def load_class_weights(
    source: Sequence[float] | NDArray[Any] | str | os.PathLike[str],
    num_classes: int | None = None,
) -> list[float]:
    """Reads class weights from a list or a JSON file and checks them.

    Args:
        source: The weights in class order; or the path of a JSON file that holds them, either
            under the key ``class_weights`` (what :func:`save_class_weights` writes) or as a bare
            list.
        num_classes: How many weights there must be; None leaves the number open.

    Returns:
        The weights, all finite and from 0 upwards, at least one above 0.

    Raises:
        InputError: With everything that is wrong, naming the file.
    """
    if isinstance(source, (str, os.PathLike)):
        return read_weight_file(source, num_classes).weights
    return _verified(list(source), num_classes, "the list of class weights")


def _verified(values: Sequence[Any], num_classes: int | None, origin: object) -> list[float]:
    """Returns weights as floats, or raises everything that is wrong with them."""
    problems = _weight_problems(values, num_classes)
    if problems:
        raise InputError(f"The class weights cannot be used: {origin}", problems)
    return [float(value) for value in values]


def save_class_weights(
    path: str | os.PathLike[str],
    pixel_counts: Sequence[int] | NDArray[Any],
    classes: Sequence[str],
    formula: str = "inverse_sqrt_log_scaled",
    *,
    image_pixels: Sequence[int] | NDArray[Any] | None = None,
    max_ratio: float | None = None,
    details: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Computes class weights and writes them with what they were made from.

    The file appears whole or not at all (:func:`mmseg_heritage.utils.files.write_json`).

    Args:
        path: The JSON file to write; missing folders are made.
        pixel_counts: Pixels of each class in the training set, in class order.
        classes: Names of the classes, in the same order.
        formula: A name in :data:`FORMULAS`.
        image_pixels: See :func:`class_weights`.
        max_ratio: See :func:`class_weights`.
        details: Further keys: where the counts are from.
        overwrite: Replace a file that is already there, instead of refusing.

    Returns:
        What was written; under ``class_weights`` the weights, see :func:`class_weights`.

    Raises:
        InputError: If counts, names or formula do not fit, or the file exists and ``overwrite`` is
            not set.
    """
    target = Path(path)
    counts = list(pixel_counts)
    problems = []
    if len(counts) != len(classes):
        problems.append(f"{len(counts)} pixel counts for {len(classes)} classes")
    if target.exists() and not overwrite:
        problems.append(f"{target}: exists already; ask for overwriting, or choose another name")
    if problems:
        raise InputError("The class weights cannot be written.", problems)
    weights = class_weights(counts, formula, image_pixels=image_pixels, max_ratio=max_ratio)
    used = [weight for weight in weights if weight]
    content = {
        "schema": SCHEMA,
        "formula": formula,
        "max_ratio": max_ratio,
        "ratio": max(used) / min(used),
        "classes": list(classes),
        "without_pixels": [c for c, n in zip(classes, counts, strict=True) if not n],
        "pixel_counts": [int(count) for count in counts],
        **({} if image_pixels is None else {"image_pixels": [int(n) for n in image_pixels]}),
        **(details or {}),
        "class_weights": weights,
    }
    write_json(target, content)
    return content


def _is_count(value: object) -> bool:
    """Whether a value is a whole number of pixels; True and False are not."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        return False
    number = float(value)
    return number >= 0 and (isinstance(value, Integral) or number.is_integer())


def _weight_problems(values: Sequence[object], num_classes: int | None) -> list[str]:
    """Lists everything that keeps values from being class weights."""
    problems = []
    if num_classes is not None and len(values) != num_classes:
        problems.append(f"{len(values)} weights for {num_classes} classes")
    usable = []
    for index, value in enumerate(values):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
            problems.append(f"class {index}: {value!r} is not a number")
        elif not math.isfinite(value) or value < 0:
            problems.append(f"class {index}: {value!r} is not finite and from 0 upwards")
        else:
            usable.append(float(value))
    if len(usable) == len(values) and not any(usable):
        problems.append("no weight is above 0, so that no class would take part")
    return problems


def read_weight_file(path: str | os.PathLike[str], num_classes: int | None = None) -> WeightFile:
    """Reads a JSON file of class weights, once for all that is asked about it.

    Args:
        path: The file; it holds the weights under the key ``class_weights``, or as a bare list.
        num_classes: See :func:`load_class_weights`.

    Raises:
        InputError: With everything that is wrong, naming the file.
    """
    path = Path(path).expanduser()
    try:
        data = path.read_bytes()
        content = json.loads(data.decode("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The class weights cannot be read from {path}", [str(error)]) from error
    details = dict(content) if isinstance(content, Mapping) else {}
    values = details.pop("class_weights", None) if isinstance(content, Mapping) else content
    problems = []
    if details.get("schema", SCHEMA) != SCHEMA:
        problems.append(f"schema is {details['schema']!r}, expected {SCHEMA!r}")
    classes = details.get("classes")
    if isinstance(classes, list) and isinstance(values, list) and len(classes) != len(values):
        problems.append(f"{len(classes)} classes but {len(values)} class_weights")
    if not isinstance(values, list):
        problems.append(f"found {type(values).__name__} where the list of weights should be")
    if problems:
        raise InputError(
            f"Expected a JSON file with a list under the key 'class_weights': {path}", problems
        )
    weights = _verified(values, num_classes, path)
    return WeightFile(weights, details, hashlib.sha256(data).hexdigest())
