"""Images of any size through networks that take certain sizes only.

Convolutional networks take every size, window attention takes multiples of the window, global
attention with a position table takes one size. timm's models do not say which of these they are, so
it is measured when a network is built: it runs on torch's ``meta`` device, where tensors have
shapes and no content, and once in earnest on a narrow strip. That takes some tenths of a second.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from timm.layers import Format, PatchEmbed
from torch import Tensor, nn
from torch.nn import functional

from mmseg_heritage.errors import InputError

# A multiple is tried at two of its own multiples: primes, larger than any window that is in use,
# so that neither a window nor a further halving fits by chance; and so large that the smallest
# features have several positions, since features of one position are added to any by broadcasting.
# The first are 1 modulo 32 and 8: one pixel more than whole steps of every stride. The number of
# positions never falls as an image grows; where it is right there, and at whole steps, which is
# how timm's feature_info states strides, it is right at every size between.
_FACTORS = {1: (257, 331), 8: (41, 43)}  # from the multiple on
# The image size of the constructor is large already, and only one window can fit its multiples.
_FACTORS_OF_IMAGE_SIZE = (2, 3)
_STRIP = 64  # width in pixels
_LITTLE = 32  # pixels of padding that are not worth a word


@dataclass(frozen=True)
class InputSizes:
    """Which image sizes a network takes.

    Attributes:
        multiple: Numbers of which height and width must be multiples.
        resized: Whether the network's patch embeddings need the size of the image set first.
        tiled: Whether the network takes exactly the size ``multiple``; larger images are cut.
    """

    multiple: tuple[int, int]
    resized: bool = False
    tiled: bool = False


def measure_input_sizes(
    network: nn.Module,
    name: str,
    strides: Sequence[int],
    in_channels: int,
    img_size: tuple[int, int],
) -> InputSizes:
    """Finds the smallest multiple at which a network gives features of ceil(size / stride).

    Args:
        network: Takes (N, in_channels, H, W) and returns one tensor per level.
        name: For the message.
        strides: Stride of each level.
        in_channels: Channels of the image.
        img_size: Height and width that the network was built for.

    Returns:
        The rule, preferring less padding, and whole images over tiles.

    Raises:
        InputError: If the network does not even run at ``img_size``, with its own message, or is
            recurrent.
    """
    if any(isinstance(module, nn.RNNBase) for module in network.modules()):
        raise InputError(
            f"{name} is a recurrent network, which walks through images step by step; finding out "
            "which sizes it takes would need minutes. Choose another model"
        )
    powers = [2**exponent for exponent in range((2 * max(strides)).bit_length())]
    candidates = [((power, power), _FACTORS[1 if power < 8 else 8]) for power in powers]
    candidates.append((img_size, _FACTORS_OF_IMAGE_SIZE))
    meta = _on_meta(network)
    for resized in (False, True) if _sized_patch_embeddings(meta) else (False,):
        for multiple, factors in candidates:
            size = (multiple[0] * factors[0], multiple[1] * factors[1])
            probe = copy.deepcopy(meta) if resized else meta  # a size that was set stays
            if _misfit(probe, strides, in_channels, size, resized) is not None:
                continue
            found = InputSizes(multiple, resized=resized)
            if multiple == img_size or _runs_larger(network, strides, in_channels, img_size, found):
                return found
            break  # position tables end at img_size, or at less than any larger multiple
    misfit = _misfit(meta, strides, in_channels, img_size, resized=False)
    if misfit is not None:
        raise InputError(
            f"{name} does not give features of strides {', '.join(map(str, strides))} at the "
            f"image size {img_size} that it is built for: {misfit}. Choose another model, or, "
            "where this one takes an img_size, a multiple of 32"
        )
    return InputSizes(img_size, tiled=True)


def measure_dependence(
    network: nn.Module,
    in_channels: int,
    img_size: tuple[int, int],
    wanted: Collection[int] | None = None,
) -> set[str]:
    """Returns the names of the trainable parameters that some levels, or all, are computed from."""
    meta = _on_meta(network)
    parameters = {name: value for name, value in meta.named_parameters() if value.requires_grad}
    with torch.enable_grad():  # the network may be built where gradients are off
        levels = meta(torch.empty(1, in_channels, *img_size, device="meta"))
        total = sum(level.sum() for i, level in enumerate(levels) if wanted is None or i in wanted)
    if not total.requires_grad:  # all of it is frozen
        return set()
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    named = zip(parameters, gradients, strict=True)
    return {name for name, gradient in named if gradient is not None}


def _on_meta(network: nn.Module) -> nn.Module:
    """Returns a copy without content, in the mode in which nothing is random."""
    return copy.deepcopy(network).to("meta").eval()


def run_at_any_size(
    network: nn.Module, image: Tensor, strides: Sequence[int], sizes: InputSizes
) -> list[Tensor]:
    """Runs a network on an image of any size.

    The image is padded with zeros (the mean color, for a normalized image) at the bottom and the
    right up to the multiple, and the features are cropped back.

    Args:
        network: See :func:`measure_input_sizes`.
        image: (N, C, H, W).
        strides: Stride s of each level.
        sizes: What the network takes.

    Returns:
        One tensor of shape (N, channels, ceil(H / s), ceil(W / s)) per level.
    """
    height, width = image.shape[-2:]
    below, right = -height % sizes.multiple[0], -width % sizes.multiple[1]
    padded = functional.pad(image, (0, right, 0, below)) if below or right else image
    grid = (padded.shape[-2] // sizes.multiple[0], padded.shape[-1] // sizes.multiple[1])
    if sizes.resized:
        _set_image_size(network, (padded.shape[-2], padded.shape[-1]))
    if sizes.tiled:
        padded = _cut(padded, grid)
    levels = [_as_nchw(level, network) for level in network(padded)]
    if sizes.tiled:
        levels = [_join(level, grid) for level in levels]
    levels = [
        level[..., : -(-height // stride), : -(-width // stride)]
        for level, stride in zip(levels, strides, strict=True)
    ]
    return [level.contiguous() for level in levels] if _is_nhwc(network) else levels


def describe_change(image: tuple[int, int], sizes: InputSizes) -> str | None:
    """Says in words what becomes of an image that is cut or padded by more than 32 pixels.

    Args:
        image: Height and width.
        sizes: What the network takes.
    """
    height, width = (-(-side // m) * m for side, m in zip(image, sizes.multiple, strict=True))
    rows, columns = height // sizes.multiple[0], width // sizes.multiple[1]
    changes = []
    if max(height - image[0], width - image[1]) > _LITTLE:
        times = height * width / (image[0] * image[1])
        changes.append(f"padded to {height} x {width} px ({times:.2f} times the pixels)")
    if sizes.tiled and rows * columns > 1:
        tile = f"{sizes.multiple[0]} x {sizes.multiple[1]} px"
        changes.append(f"cut into {rows * columns} tiles of {tile} that do not see each other")
    return " and ".join(changes) or None


def _runs_larger(
    network: nn.Module,
    strides: Sequence[int],
    in_channels: int,
    img_size: tuple[int, int],
    sizes: InputSizes,
) -> bool:
    """Whether a network runs on an image that is longer than what it is built for.

    On the meta device an index beyond the end of a position table (MViTv2) goes unseen, so this
    is a real run, of a narrow strip.
    """
    length = 2 * img_size[0] + -2 * img_size[0] % sizes.multiple[0]
    probe = copy.deepcopy(network).eval()
    return _misfit(probe, strides, in_channels, (length, _STRIP), sizes.resized) is None


def _misfit(
    network: nn.Module,
    strides: Sequence[int],
    in_channels: int,
    size: tuple[int, int],
    resized: bool,
) -> str | None:
    """Says why a network does not take a size; None where it does."""
    image = torch.zeros(1, in_channels, *size, device=next(network.parameters()).device)
    try:
        if resized:
            _set_image_size(network, size)
        with torch.no_grad():
            levels = [_as_nchw(level, network) for level in network(image)]
    except Exception as error:  # networks refuse a size with whatever fails first
        return f"{type(error).__name__}: {error}".splitlines()[0]
    found = [tuple(level.shape[-2:]) for level in levels]
    expected = [(-(-size[0] // stride), -(-size[1] // stride)) for stride in strides]
    return None if found == expected else f"features of {found}, expected {expected}"


def _sized_patch_embeddings(network: nn.Module) -> list[PatchEmbed]:
    """Returns the patch embeddings that check the size of the image, in order of use."""
    return [
        module
        for module in network.modules()
        if isinstance(module, PatchEmbed) and module.img_size is not None and module.strict_img_size
    ]


def _set_image_size(network: nn.Module, size: tuple[int, int]) -> None:
    """Scales the sizes of all patch embeddings so that the first one's is the image's (CoaT)."""
    embeddings = _sized_patch_embeddings(network)
    height, width = embeddings[0].img_size
    for embedding in embeddings:
        embedding.set_input_size(
            (
                embedding.img_size[0] * size[0] // height,
                embedding.img_size[1] * size[1] // width,
            )
        )


def _is_nhwc(network: nn.Module) -> bool:
    return getattr(network, "output_fmt", Format.NCHW) == Format.NHWC


def _as_nchw(level: Tensor, network: nn.Module) -> Tensor:
    return level.permute(0, 3, 1, 2) if _is_nhwc(network) else level


def _cut(image: Tensor, grid: tuple[int, int]) -> Tensor:
    """Makes tiles of an image: (N, C, rows h, columns w) to (N rows columns, C, h, w)."""
    tiles = image.unflatten(2, (grid[0], -1)).unflatten(4, (grid[1], -1))
    return tiles.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def _join(tiles: Tensor, grid: tuple[int, int]) -> Tensor:
    """Undoes :func:`_cut`."""
    image = tiles.unflatten(0, (-1, *grid)).permute(0, 3, 1, 4, 2, 5)
    return image.flatten(4, 5).flatten(2, 3)
