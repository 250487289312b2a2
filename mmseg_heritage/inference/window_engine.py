"""Applying a segmentation network, of torch or of another runtime, to an image of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.enlarging import TILE, Line, enlarge, enlarged_largest
from mmseg_heritage.inference.sources import PixelSource
from mmseg_heritage.inference.windows import WindowRows
from mmseg_heritage.scores.arrays import (
    FLIPS,
    Array,
    empty,
    empty_on_cpu,
    has_nan,
    mean_of,
)
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.taxonomy import FINE_LEVEL

MODES = ("window", "whole")
PRECISIONS = ("auto", "float16", "bfloat16", "float32")

_BAND = 1 << 18  # pixels whose scores are enlarged at a time
_LARGEST_SCALE = 8.0


@dataclass
class ImageMaps:
    """What was found on an image, at the size that was asked for.

    Attributes:
        ids: 'fine' and each level above the classes -> uint8 (H, W).
        confidence: Probability of the chosen class in steps of 1/255, uint8 (H, W); None unless
            asked for.
        logs: Interpolated logarithms of the probabilities, float32 (P, H, W), see
            :class:`~mmseg_heritage.scores.head_scores.HeadScores`; None unless asked
            for.
    """

    ids: dict[str, Any] = field(default_factory=dict)
    confidence: Any = None
    logs: Any = None

    def put(self, rows: slice, part: ImageMaps, size: tuple[int, int]) -> None:
        """Puts what was found in some rows into maps of ``size``, made by the first call."""
        if not self.ids:
            self.ids = {name: empty_on_cpu(size, ids) for name, ids in part.ids.items()}
            if part.confidence is not None:
                self.confidence = empty_on_cpu(size, part.confidence)
            if part.logs is not None:
                self.logs = empty((len(part.logs), *size), part.logs)
        for name, ids in part.ids.items():
            self.ids[name][rows] = ids
        if self.confidence is not None:
            self.confidence[rows] = part.confidence
        if self.logs is not None:
            self.logs[:, rows] = part.logs


def scale_of(name: str | float, height: int, width: int) -> float:
    """Returns the factor that a scale means for an image.

    Args:
        name: 'native' for 1; 'fit:N' for a long edge of at most N pixels; or the factor itself.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Raises:
        ValueError: If it is none of these.
    """
    if name == "native":
        return 1.0
    if isinstance(name, str) and name.startswith("fit:") and name[4:].isdecimal() and int(name[4:]):
        return min(1.0, int(name[4:]) / max(height, width))
    if isinstance(name, (int, float)) and not isinstance(name, bool) and 0 < name <= _LARGEST_SCALE:
        return float(name)
    raise ValueError(
        f"scale {name!r}: expected 'native', 'fit:N' for a long edge of at most N px, or a factor "
        f"above 0, up to {_LARGEST_SCALE:g}"
    )


class Network(Protocol):
    """Runs a network on windows.

    Attributes:
        unit: Windows begin at multiples of it; the output has at most so many pixels for a step.
        multiple: Sides of windows are multiples of it.
        batch: Windows in one call.
        head: Reads its scores.
    """

    unit: int
    multiple: int
    batch: int
    head: HeadScores

    def __call__(self, parts: Sequence[Any], size: tuple[int, int]) -> Any:
        """Returns probabilities, see :data:`mmseg_heritage.inference.windows.RunWindows`."""


class WindowEngine:
    """Runs a network on an image in windows and gives maps, without scores of the whole image.

    A calibration of the model is applied at the end, to the probabilities that windows, mirror
    images and scales have been averaged to: it was fitted on these, and a temperature then changes
    no class.

    Memory for scores does not grow with the area of the image, but with its width: those of about
    two windows' height are held at the resolution of the network's output, and they are enlarged
    to pixels in bands and tiles.

    Args:
        mode: 'window', or 'whole' for one window over the image.
        crop: Side of a window in pixels; rounded up to what the network takes.
        overlap: Least share of a window that it has in common with its neighbor, 0 to below 1.
        batch: Windows in one call of the network; None for 1 on a CPU and 8 on a GPU. Halved where
            a device runs out of memory.
        scales: At which sizes of the image to predict; the probabilities are averaged. See
            :func:`scale_of`.
        tta: Mirror images that are predicted and averaged beside each window: of 'horizontal',
            'vertical' and 'diagonal' (test-time augmentation).
        precision: Numbers in which the network computes: 'float32', 'bfloat16', 'float16' on a
            GPU, or 'auto'; see :func:`mmseg_heritage.utils.precision.automatic_dtype`.
            Probabilities are averaged in float32.
        confidence: Whether to give the probability of the chosen class, a byte for each pixel.
        logits: Whether to give the scores too: 4 bytes for each pixel and class.
        abstain_below: Predictors choose no class where the probability of the most probable one is
            below it, 0 to 1; 0 chooses everywhere. Maps of the levels stay, and so do tests.

    Raises:
        InputError: With all that is wrong with the arguments.
    """

    def __init__(
        self,
        mode: str = "window",
        crop: int = 512,
        overlap: float = 0.25,
        batch: int | None = None,
        scales: Sequence[str | float] = ("native",),
        tta: Sequence[str] | None = (),
        precision: str = "float32",
        confidence: bool = False,
        logits: bool = False,
        abstain_below: float = 0.0,
    ) -> None:
        scales = [scales] if isinstance(scales, (str, float, int)) else list(scales or ())
        tta = [tta] if isinstance(tta, str) else list(tta or ())
        problems = _argument_problems(mode, crop, overlap, batch, scales, tta)
        if precision not in PRECISIONS:
            problems.append(f"precision={precision!r}, expected {' or '.join(PRECISIONS)}")
        problems += [
            f"{name}={value!r}, expected True or False"
            for name, value in (("confidence", confidence), ("logits", logits))
            if not isinstance(value, bool)
        ]
        is_number = isinstance(abstain_below, (int, float)) and not isinstance(abstain_below, bool)
        if not is_number or not 0 <= abstain_below <= 1:
            problems.append(f"abstain_below={abstain_below!r}, expected a probability, 0 to 1")
        if problems:
            raise InputError("model.inference cannot be used", problems)
        self.mode, self.crop, self.overlap, self.batch = mode, crop, overlap, batch
        self.scales, self.tta = tuple(scales), tuple(tta)
        self.precision = precision
        self.confidence, self.logits = confidence or abstain_below > 0, logits
        self.abstain_below = float(abstain_below)

    def maps_of(self, run: Network, source: PixelSource, size: tuple[int, int]) -> ImageMaps:
        """Predicts an image, see :meth:`bands_of`."""
        found = ImageMaps()
        for rows, part in self.bands_of(run, source, size):
            found.put(rows, part, size)
        return found

    def bands_of(
        self, run: Network, source: PixelSource, size: tuple[int, int], first: int = 0
    ) -> Iterator[tuple[slice, ImageMaps]]:
        """Predicts an image from the top to the bottom.

        Args:
            run: The network.
            source: Where the image is cut from.
            size: Height and width of the maps.
            first: The first row of the maps that is wanted.

        Yields:
            Some rows of the maps, and what was found there.

        Raises:
            InputError: If the scores are not numbers, or memory is too small for one window.
        """
        views = []
        for seen in self.sizes(*source.shape[1:]):
            # The network's output has at most ``unit`` pixels for a step.
            above = max(int(first * seen[0] / size[0]) - run.unit, 0)
            views.append(_View(self._rows(source, seen, run, above), seen, size, run.head))
        several = len(views) > 1
        needs_logs = self.confidence or self.logits or several or run.head.moves_classes
        for start in range(first, size[0], TILE):
            stop = min(start + TILE, size[0])
            if needs_logs:
                for rows in _bands(start, stop, size[1]):
                    yield rows, self._maps(_merged(views, run.head, rows), run.head)
            else:
                yield slice(start, stop), ImageMaps(views[0].maps(start, stop))

    def _maps(self, logs: Array, head: HeadScores) -> ImageMaps:
        """Returns what is found by the logarithms of probabilities."""
        calibrated = head.calibrated(logs)
        # A temperature changes no class: not even where rounding would decide.
        found = ImageMaps(head.maps(calibrated if head.moves_classes else logs))
        logs = calibrated
        if self.confidence:
            found.confidence = head.confidence(logs, found.ids[FINE_LEVEL])
        if self.logits:
            found.logs = logs
        return found

    def sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Returns the sizes (H, W) at which an image is looked at, each once."""
        factors = [scale_of(name, height, width) for name in self.scales]
        return list(
            dict.fromkeys((max(round(height * f), 1), max(round(width * f), 1)) for f in factors)
        )

    def _rows(
        self, image: PixelSource, size: tuple[int, int], run: Network, first: int
    ) -> WindowRows:
        """Returns the probabilities of an image at one of the sizes, from a row of it on."""
        if size != image.shape[1:]:
            image = image.resized(size)
        crop = None if self.mode == "whole" else -(-self.crop // run.multiple) * run.multiple
        return WindowRows(image, run, crop, self.overlap, run.unit, run.batch, first)


class _View:
    """An image at one of the sizes at which it is looked at.

    Args:
        source: Probabilities of the image at that size.
        seen: That size.
        size: Of the maps.
        head: Of the network.
    """

    def __init__(
        self, source: WindowRows, seen: tuple[int, int], size: tuple[int, int], head: HeadScores
    ) -> None:
        self._source, self._head = source, head
        source.begin()  # from then on the resolution of the network's output is known
        self._rows, self._columns = (
            Line(pixels, side, source.cell) for pixels, side in zip(size, seen, strict=True)
        )

    def _steps(self, start: int, stop: int) -> Any:
        """Returns the logarithms (C, h, w) between which some rows of pixels lie."""
        probabilities = self._source.rows(*self._rows.span(start, stop))
        if has_nan(probabilities):
            raise InputError(
                "the model's scores are not numbers (NaN); take another checkpoint of the run"
            )
        return self._head.logs(probabilities)

    def logs(self, rows: slice) -> Any:
        """Returns the logarithms of some rows of pixels, (C, rows, W)."""
        steps = self._steps(rows.start, rows.stop)
        return enlarge(steps, self._rows, self._columns, rows.start, rows.stop)

    def maps(self, start: int, stop: int) -> dict[str, Any]:
        """Returns the classes, and the groups of each level, of some rows of pixels."""
        steps = self._steps(start, stop)
        ids = {
            name: enlarged_largest(steps[channels], self._rows, self._columns, start, stop)
            for name, channels in self._head.channels.items()
        }
        return self._head.restricted(ids)


def _merged(views: Sequence[_View], head: HeadScores, rows: slice) -> Any:
    """Returns the logarithms of the probabilities of views, averaged, of some rows of pixels."""
    if len(views) == 1:
        return views[0].logs(rows)
    return head.logs(mean_of([head.normalized(view.logs(rows)) for view in views]))


def _bands(start: int, stop: int, width: int) -> Iterator[slice]:
    """Yields slices of rows of so few pixels that the scores of all classes take little memory."""
    rows = max(_BAND // width, 1)
    for first in range(start, stop, rows):
        yield slice(first, min(first + rows, stop))


def _argument_problems(
    mode: Any, crop: Any, overlap: Any, batch: Any, scales: Sequence[Any], tta: Sequence[Any]
) -> list[str]:
    """Says what is wrong with the arguments of :class:`WindowEngine`."""
    problems = []
    if mode not in MODES:
        problems.append(f"mode={mode!r}, expected {' or '.join(MODES)}")
    for name, value in (("crop", crop), ("batch", 1 if batch is None else batch)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            problems.append(f"{name}={value!r}, expected a whole number from 1")
    if isinstance(overlap, bool) or not isinstance(overlap, (int, float)) or not 0 <= overlap < 1:
        problems.append(f"overlap={overlap!r}, expected a share of the crop, from 0 to below 1")
    if not scales:
        problems.append("scales is empty, expected one or more")
    for scale in scales:
        try:
            scale_of(scale, 1, 1)
        except ValueError as error:
            problems.append(str(error))
    problems += [
        f"tta: {name!r} is neither None nor one of {', '.join(FLIPS)}"
        for name in tta
        if name not in FLIPS
    ]
    return problems
