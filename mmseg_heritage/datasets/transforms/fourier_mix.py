"""Giving a crop the look of another photograph, and leaving what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from mmseg_heritage.datasets.caches.pixel_cache import decode_image
from mmseg_heritage.errors import InputError


@TRANSFORMS.register_module()
class RandomFourierMix(BaseTransform):
    r"""Mixes the amplitude of low frequencies with that of a photograph of another domain.

    Fourier domain adaptation (Yang and Soatto, CVPR 2020, arXiv:2004.05498), mixed as by Xu et al.
    (CVPR 2021, arXiv:2105.11120): for the frequencies (u, v) with :math:`|u|, |v| \le b`,
    :math:`b = \lfloor \beta \min(H, W) \rfloor`, the amplitude A of each channel becomes
    :math:`(1 - \lambda) A + \lambda A'`, and the phase is kept. The defaults, b = 1 on crops of 384
    px, change color and light as a whole. With the 0.01 of the paper patches appear on photographs
    of objects that look like Staining and Lightleak and are not labeled; 0 only exchanges the mean.

    The other photograph, shrunk to the size of the crop, gives its amplitudes; a process reads each
    one once. Where the data set names no domains, any other image serves.

    Required keys: ``img`` (uint8, (H, W, 3), BGR), ``img_path``. Changed keys: ``img``. It stands
    in the pipeline of an :class:`~mmseg_heritage.datasets.ARTeFACTDataset`, which tells it of the
    other images.

    Args:
        beta: Half the side of the window of frequencies, as a share of the shorter side, 0..0.5.
        strength: Range of lambda, 0..1.
        prob: Share of the crops that are changed, 0..1.

    Raises:
        InputError: If an argument is out of its range, or there is no other image.
    """

    def __init__(
        self, beta: float = 0.003, strength: tuple[float, float] = (0.0, 0.5), prob: float = 0.5
    ) -> None:
        problems = [
            f"{name}={value!r}, expected a number in 0..{most:g}"
            for name, value, most in (("beta", beta, 0.5), ("prob", prob, 1.0))
            if not 0 <= value <= most
        ]
        if len(strength) != 2 or not 0 <= strength[0] <= strength[1] <= 1:
            problems.append(f"strength={strength}, expected two rising numbers in 0..1")
        if problems:
            raise InputError("RandomFourierMix cannot be built", problems)
        self.beta, self.strength, self.prob = beta, strength, prob
        self._images: list[tuple[str, str]] = []
        self._amplitudes: dict[tuple[str, int, int], NDArray[np.float64]] = {}

    def set_images(self, images: Sequence[tuple[str, str]]) -> None:
        """Tells which images there are.

        Args:
            images: Path and domain of each; an empty domain where none is named.

        Raises:
            InputError: If all are of one domain.
        """
        domains = {domain for _, domain in images}
        if len(images) < 2 or (len(domains) == 1 and domains != {""}):
            raise InputError(
                f"RandomFourierMix needs images of another domain; all {len(images)} training "
                f"images are of {', '.join(domains)}"
            )
        self._images = list(images)

    @cache_randomness
    def _draw(self) -> tuple[bool, float, float]:
        """Returns whether to mix, lambda, and which of the others, 0..1."""
        applies = np.random.random() < self.prob
        return applies, np.random.uniform(*self.strength), np.random.random()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Changes the image."""
        applies, strength, place = self._draw()
        if not applies:
            return results
        path = results["img_path"]
        own = next((domain for p, domain in self._images if p == path), None)
        if own is None:
            raise InputError(
                "RandomFourierMix knows no other images; use it in the pipeline of an "
                "ARTeFACTDataset"
            )
        others = [p for p, domain in self._images if (domain != own if own else p != path)]
        other = others[int(place * len(others))]
        results["img"] = mixed(
            results["img"], self._amplitude(other, *results["img"].shape[:2]), strength
        )
        return results

    def _amplitude(self, path: str, height: int, width: int) -> NDArray[np.float64]:
        key = (path, height, width)
        if key not in self._amplitudes:
            image = cv2.resize(decode_image(path), (width, height), interpolation=cv2.INTER_AREA)
            self._amplitudes[key] = low_amplitude(image, int(self.beta * min(height, width)))
        return self._amplitudes[key]


def low_amplitude(image: NDArray[np.uint8], half: int) -> NDArray[np.float64]:
    """Returns the amplitudes of the frequencies up to ``half``, (2 half + 1, half + 1, 3)."""
    amplitude: NDArray[np.float64] = np.abs(np.fft.rfft2(image, axes=(0, 1)))
    return amplitude[_rows(half), : half + 1]


def mixed(
    image: NDArray[np.uint8], amplitude: NDArray[np.float64], strength: float
) -> NDArray[np.uint8]:
    """Returns an image whose low frequencies have partly another amplitude.

    Args:
        image: uint8 (H, W, 3).
        amplitude: From :func:`low_amplitude`, of an image of the same size.
        strength: Share of the other amplitude, 0..1.
    """
    half = amplitude.shape[1] - 1
    spectrum = np.fft.rfft2(image, axes=(0, 1))
    window = np.ix_(_rows(half), np.arange(half + 1))
    low = spectrum[window]
    own = np.abs(low)
    phase = np.divide(low, own, out=np.ones_like(low), where=own > 0)
    spectrum[window] = ((1 - strength) * own + strength * amplitude) * phase
    back = np.fft.irfft2(spectrum, s=image.shape[:2], axes=(0, 1))
    return np.clip(np.rint(back), 0, 255).astype(np.uint8)


def _rows(half: int) -> NDArray[np.int64]:
    """Returns the rows of a spectrum that hold the frequencies -half..half."""
    return np.r_[0 : half + 1, -half:0]
