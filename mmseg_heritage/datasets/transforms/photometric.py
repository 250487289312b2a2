"""What aging, lamps, scanners and files do to the look of an object; the mask is left as it is.

Each of them changes the whole image alike or slowly, and adds nothing that has an outline: a
yellow patch would be Staining, a bright one Lightleak, a speck Dust.
All change the key ``img`` (uint8, (H, W, 3), BGR) and nothing else.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS

from mmseg_heritage.errors import InputError

OLD_PAPER = (150, 205, 232)
"""What white becomes at strength 1, BGR: paper that is strongly yellowed, not brown."""

_LEVELS = np.arange(256, dtype=np.float32)
_MAX_JPEG_EDGE = 65500  # of libjpeg


def _range(owner: object, name: str, value: tuple[float, float], least: float, most: float) -> None:
    """Refuses a range that does not rise within bounds."""
    if len(value) != 2 or not least <= value[0] <= value[1] <= most:
        raise InputError(
            f"{type(owner).__name__}: {name} must be two rising numbers in {least:g}..{most:g}, "
            f"found {value}"
        )


def _look_up(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Replaces levels by a table for each channel, float (256, 3)."""
    levels = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    changed: np.ndarray = cv2.LUT(image, levels[None])
    return changed


@TRANSFORMS.register_module()
class RandomTint(BaseTransform):
    """Color cast and gamma of a scanner or camera: one curve for each channel.

    Gains are at most 1, so that nothing bright is clipped.

    Args:
        gain: Largest loss of a channel, as a share, 0..1.
        gamma: Range of the exponent, the same for all channels.
    """

    def __init__(self, gain: float = 0.12, gamma: tuple[float, float] = (0.85, 1.18)) -> None:
        _range(self, "gain", (0, gain), 0, 1)
        _range(self, "gamma", gamma, 0.1, 10)
        self.gain = gain
        self.gamma = gamma

    @cache_randomness
    def _draw(self) -> tuple[np.ndarray, float]:
        gamma = np.exp(np.random.uniform(*np.log(self.gamma)))
        return np.random.uniform(1 - self.gain, 1, 3), float(gamma)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Changes the colors."""
        gains, gamma = self._draw()
        curve = 255 * (_LEVELS / 255) ** gamma
        results["img"] = _look_up(results["img"], curve[:, None] * gains)
        return results


@TRANSFORMS.register_module()
class RandomYellowing(BaseTransform):
    """Aged paper or varnish: white turns towards yellow, black fades a little.

    The same over the whole image, for a patch of it would be Staining.

    Args:
        strength: Range of the strength, 0 (none) to 1 (white becomes :data:`OLD_PAPER`).
        fade: Level of black at strength 1, 0..255.
    """

    def __init__(self, strength: tuple[float, float] = (0.2, 0.9), fade: float = 30) -> None:
        _range(self, "strength", strength, 0, 1)
        _range(self, "fade", (0, fade), 0, 255)
        self.strength = strength
        self.fade = fade

    @cache_randomness
    def _draw(self) -> float:
        return float(np.random.uniform(*self.strength))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Changes the colors."""
        strength = self._draw()
        black = strength * self.fade
        faded = black + _LEVELS * (255 - black) / 255
        white = 1 - strength * (1 - np.array(OLD_PAPER) / 255)
        results["img"] = _look_up(results["img"], faded[:, None] * white)
        return results


@TRANSFORMS.register_module()
class RandomUnevenLight(BaseTransform):
    """A lamp at one side and a lens that darkens the corners: a slow fall of brightness.

    A plane and a paraboloid, so that there is no spot that could pass for a stain. Light is only
    taken away: what is bright would be clipped otherwise, and folds in white paper with it.

    Args:
        amount: Largest fall from the brightest to the darkest place, as a share, 0..1.
    """

    def __init__(self, amount: float = 0.35) -> None:
        _range(self, "amount", (0, amount), 0, 1)
        self.amount = amount

    @cache_randomness
    def _draw(self) -> tuple[float, float, float]:
        """Returns the fall, the direction of the lamp and the share of the lens."""
        angle = np.random.uniform(0, 2 * np.pi)
        return np.random.uniform(0, self.amount), angle, np.random.uniform(0, 1.5)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Changes the brightness."""
        fall, angle, lens = self._draw()
        height, width = results["img"].shape[:2]
        xs, ys = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
        down, right = np.sin(angle) * ys + lens * ys**2, np.cos(angle) * xs + lens * xs**2
        least, most = down.min() + right.min(), down.max() + right.max()
        scale = fall / max(most - least, 1e-6)
        light = np.add.outer(1 - scale * (down - least), -scale * right, dtype=np.float32)
        light = cv2.merge([light, light, light])
        results["img"] = cv2.multiply(results["img"], light, dtype=cv2.CV_8U)
        return results


@TRANSFORMS.register_module()
class RandomGrain(BaseTransform):
    """Film grain or sensor noise: Gaussian, independent for each pixel, equal in all channels.

    Args:
        sigma: Range of the standard deviation in levels, 0..255.
    """

    def __init__(self, sigma: tuple[float, float] = (1.0, 6.0)) -> None:
        _range(self, "sigma", sigma, 0, 255)
        self.sigma = sigma

    @cache_randomness
    def _draw(self, shape: tuple[int, ...]) -> np.ndarray:
        # A generator of its own draws float32, which takes a third of the time.
        generator = np.random.default_rng(np.random.randint(2**31))
        sigma = np.float32(np.random.uniform(*self.sigma))
        return sigma * generator.standard_normal(shape, dtype=np.float32)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the grain."""
        grain = self._draw(results["img"].shape[:2])
        grain = cv2.merge([grain, grain, grain])
        results["img"] = cv2.add(results["img"], grain, dtype=cv2.CV_8U)
        return results


@TRANSFORMS.register_module()
class RandomBlur(BaseTransform):
    """A lens slightly out of focus: a Gaussian of random width.

    Args:
        sigma: Range of the standard deviation in pixels, 0.1..10.
    """

    def __init__(self, sigma: tuple[float, float] = (0.3, 1.0)) -> None:
        _range(self, "sigma", sigma, 0.1, 10)
        self.sigma = sigma

    @cache_randomness
    def _draw(self) -> float:
        return float(np.random.uniform(*self.sigma))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Blurs the image."""
        results["img"] = cv2.GaussianBlur(results["img"], (0, 0), self._draw())
        return results


@TRANSFORMS.register_module()
class RandomJPEG(BaseTransform):
    """What saving as JPEG leaves behind.

    torchvision has this too (``v2.JPEG``), but not in the version that goes with torch 2.1.

    Args:
        quality: Range of the quality, 1..100, both ends included.
    """

    def __init__(self, quality: tuple[int, int] = (40, 95)) -> None:
        _range(self, "quality", quality, 1, 100)
        self.quality = quality

    @cache_randomness
    def _draw(self) -> int:
        return int(np.random.randint(self.quality[0], self.quality[1] + 1))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Encodes and decodes the image."""
        height, width = results["img"].shape[:2]
        if max(height, width) > _MAX_JPEG_EDGE:
            raise InputError(
                f"RandomJPEG: a JPEG has at most {_MAX_JPEG_EDGE} pixels on an edge, "
                f"found {width}x{height}"
            )
        options = [cv2.IMWRITE_JPEG_QUALITY, self._draw()]
        _, encoded = cv2.imencode(".jpg", results["img"], options)
        results["img"] = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        return results
