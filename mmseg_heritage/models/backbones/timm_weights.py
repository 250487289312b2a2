"""Weights of timm's networks, from files and from the hub, under whatever names they were saved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import timm
import torch
from mmengine.dist import barrier
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mmseg_heritage.errors import MAX_LISTED, InputError
from mmseg_heritage.utils.checkpoints.checkpoint import (
    checkpoint_reading,
    load_checkpoint_file,
    weights_of,
)
from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.hub import offline_without_network

_Result = TypeVar("_Result")

RGB = 3  # channels that published weights are for

# What may stand before the names of a network: a segmentor's 'backbone' (twice if something wraps
# it there), the attribute of the adapter and of mmseg's TIMMBackbone, and those of timm's wrappers.
_PREFIXES = ("backbone.", "backbone.", "timm_model.", "model.", "body.")


def load_file_into(
    network: nn.Module,
    create: Callable[..., nn.Module],
    model_name: str,
    in_channels: int,
    path: str | Path,
    prefix: str = "",
) -> None:
    """Loads weights from a file, and logs what was missing and what was left out.

    Args:
        network: Network in one of timm's feature wrappers.
        create: Makes such a network: ``timm.create_model`` with all of its arguments but
            ``features_only``, True by default.
        model_name: Name of the network.
        in_channels: Channels of the images that it takes.
        path: See :func:`read_weights`.
        prefix: See :func:`read_weights`.

    Raises:
        InputError: If the file cannot be read, is for another number of channels, a tensor has
            another shape after timm's conversion, or fewer than half of the network's tensors are
            in the file.
    """
    expected = network.state_dict()
    whole = create(features_only=False).state_dict()
    names = match_names(expected, whole)
    found = under_timm_names(read_weights(path, prefix), names)
    own = {name: found[timm_name] for name, timm_name in names.items() if timm_name in found}
    if all(_fits(own.get(name), value) for name, value in expected.items()):
        loaded = own
    else:
        channels = _channels_of(own, create, in_channels, path)
        try:
            loaded = _convert_by_timm(lambda **more: create(in_chans=channels, **more), found)
        except Exception as error:  # converters fail in any way on weights of another network
            reason, *details = [line.strip() for line in str(error).splitlines()] or [""]
            raise InputError(
                f"{path}: expected weights that fit {model_name} as it is built here, but timm "
                f"cannot load them: {reason} {where_to_get(model_name)}",
                details,
            ) from error
    missing = [name for name in expected if name not in loaded]
    if 2 * len(missing) > len(expected):
        raise InputError(
            f"{path}: expected weights of {model_name}, but {len(missing)} of its {len(expected)} "
            f"tensors are not in the file. {where_to_get(model_name)}"
        )
    fit_first_layer(loaded, expected, model_name)
    network.load_state_dict(loaded, strict=False)
    used = set(names.values())
    behind = sum(name in whole and name not in used for name in found)
    unknown = [name for name in found if name not in whole]
    _report(f"{path}: weights of {model_name}", len(expected), missing, behind, unknown)


def _fits(weight: Tensor | None, expected: Tensor) -> bool:
    return weight is not None and weight.shape == expected.shape


def _channels_of(
    weights: Mapping[str, Tensor],
    create: Callable[..., nn.Module],
    in_channels: int,
    path: str | Path,
) -> int:
    """Finds out how many channels a file is for.

    Args:
        weights: Of the file, by the names of the network that ``create`` makes.
        create: See :func:`load_file_into`.
        in_channels: What the network to be loaded takes.
        path: For the message.

    Returns:
        ``in_channels`` or 3; 3 too where the first layer has another name in the file.

    Raises:
        InputError: If it is for any other number.
    """
    own, other = (
        {name: value.shape for name, value in create(in_chans=channels).state_dict().items()}
        for channels in (in_channels, RGB if in_channels != RGB else RGB + 1)
    )
    first = [name for name in weights if own[name] != other[name]]
    if not first:
        return RGB
    if all(weights[name].shape == own[name] for name in first):
        return in_channels
    if in_channels != RGB and all(weights[name].shape == other[name] for name in first):
        return RGB
    found, expected = weights[first[0]].shape, own[first[0]]
    if found[:1] != expected[:1] or found[2:] != expected[2:]:
        return in_channels  # of another network, which timm says
    channels = found[1] * in_channels // expected[1]
    raise InputError(
        f"{path}: these weights are for images of {channels} channels, the model takes "
        f"{in_channels}; set in_channels={channels}, or take weights for {RGB} channels"
    )


def fit_first_layer(
    weights: dict[str, Tensor], expected: Mapping[str, Tensor], model_name: str
) -> None:
    """Fits a first layer for R, G and B to any number of channels.

    Further channels get the average over R, G and B; of fewer than three, each one does. The sum
    over the channels stays what it was.

    Args:
        weights: By the names of the network; changed in place.
        expected: What the network has under these names.
        model_name: For the message.

    Raises:
        InputError: If the first layer does not take the channels as they are.
    """
    for name, weight in weights.items():
        shape = expected[name].shape
        if weight.shape == shape:
            continue
        if weight.dim() != 4 or weight.shape[1] != RGB:
            raise InputError(
                f"{model_name}: its first layer rearranges the image, so that weights for {RGB} "
                f"channels cannot be fitted to others; set in_channels={RGB}"
            )
        mean = weight.mean(dim=1, keepdim=True)
        kept = weight if shape[1] > RGB else weight[:, :0]
        more = mean.expand(-1, shape[1] - kept.shape[1], -1, -1)
        weights[name] = torch.cat([kept, more], dim=1) * (RGB / shape[1])


def _convert_by_timm(
    create: Callable[..., nn.Module], weights: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Fits weights to a network as timm does with its own: names, position tables, first layer.

    timm's converters differ from network to network and do not say what became of a tensor.
    Weights that are all NaN, sent the same way, show which tensors arrive.

    Returns:
        The tensors that the file gives the network, by the network's names.
    """

    def send(state: dict[str, Tensor]) -> dict[str, Tensor]:
        with _quiet_timm():
            # The channels fit already; older releases drop a first layer that is not of RGB.
            overlay = {"state_dict": state, "first_conv": None}
            network = create(pretrained=True, pretrained_cfg_overlay=overlay)
        return network.state_dict()

    traces = send(
        {
            name: torch.full_like(weight, torch.nan) if weight.is_floating_point() else weight
            for name, weight in weights.items()
        }
    )
    return {
        name: value
        for name, value in send(dict(weights)).items()
        if not value.is_floating_point() or traces[name].isnan().any()
    }


@contextmanager
def _quiet_timm() -> Iterator[None]:
    """Keeps timm from logging long lists of names, twice; :func:`_report` sums them up."""
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _report(
    source: str, expected: int, missing: list[str], behind: int, unknown: list[str]
) -> None:
    """Logs the outcome of a load, as a warning where the file does not have everything."""
    parts = [f"{source}: {expected - len(missing)} of {expected} tensors loaded"]
    if missing:
        parts.append(f"{len(missing)} not in the file, left as initialized: {_listed(missing)}")
    if behind:
        parts.append(f"{behind} of the classifier and of unused layers left out")
    if unknown:
        parts.append(f"{len(unknown)} in the file under names that are not timm's, renamed by timm "
                     f"or left out: {_listed(unknown)}")  # fmt: skip
    logger = MMLogger.get_current_instance()
    (logger.warning if missing else logger.info)("; ".join(parts))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")


def load_from_hub_into(
    network: nn.Module, create: Callable[..., nn.Module], model_name: str
) -> None:
    """Loads timm's own weights, from its cache or by download, on the main process first.

    Args:
        network: See :func:`load_file_into`.
        create: See :func:`load_file_into`.
        model_name: Name of the network.

    Raises:
        InputError: If they cannot be had, with the file that is wanted and its address.
    """
    try:
        with offline_without_network():
            state = main_process_first(lambda: create(pretrained=True, in_chans=RGB).state_dict())
    except Exception as error:  # each of the clients that timm uses has errors of its own
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InputError(
            f"{model_name}: its pretrained weights are neither in timm's cache nor to be had "
            f"({reason}). {where_to_get(model_name)}"
        ) from error
    fit_first_layer(state, network.state_dict(), model_name)
    network.load_state_dict(state)


def main_process_first(load: Callable[[], _Result]) -> _Result:
    """Calls a function on the main process, then on the others, which find its downloads cached."""
    results: list[_Result] = []
    try:
        if is_main_process():
            results.append(load())
    finally:
        barrier()  # after a failure too: the others must not wait forever
    return results[0] if results else load()


def where_to_get(model_name: str) -> str:
    """Says how to have timm's weights of a model without a network, and how to do without them."""
    without = "To train without: --cfg-options pretrained=None"
    cfg = timm.get_pretrained_cfg(model_name)
    if cfg is not None and cfg.hf_hub_id:
        file = cfg.hf_hub_filename or "model.safetensors"
        source = f"{file} from https://huggingface.co/{cfg.hf_hub_id}"
    elif cfg is not None and cfg.url:
        source = cfg.url
    else:
        return f"timm itself has no weights for {model_name}. {without}"
    return (
        f"timm's weights: fetch {source} on a machine with a network and give its path: "
        f"checkpoint_path, on the command line --cfg-options pretrained=PATH. {without}"
    )


def read_weights(path: str | Path, prefix: str = "") -> dict[str, Tensor]:
    """Reads tensors by name without running code from the file.

    Args:
        path: ``.safetensors``, or a file of ``torch.save`` that holds a state dict, or has one
            under 'state_dict' or 'model'. An address ('https://...') is fetched by mmengine.
        prefix: Only what is under this prefix; it is taken off the names.

    Raises:
        InputError: If the file is missing or damaged, or has no tensors under the prefix.
    """
    prefix = f"{prefix.rstrip('.')}." if prefix else ""
    found = _under(prefix, _read(path))
    if not found:
        raise InputError(f"{path}: expected tensors named '{prefix}*', found none")
    return found


def _read(path: str | Path) -> dict[str, Tensor]:
    if str(path).endswith(".safetensors"):
        file = Path(path).expanduser()
        if not file.is_file():
            raise InputError(f"{path}: no such checkpoint")
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{path}: not a whole safetensors file ({error}); copy it again"
            ) from error
    if "://" in str(path):
        with checkpoint_reading():
            checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location="cpu")
    else:
        checkpoint = load_checkpoint_file(path)
    if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get("model"), Mapping):
        checkpoint = checkpoint["model"]  # as the authors of Swin, ConvNeXt and others save it
    return weights_of(checkpoint, path)


def _under(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns what is under a prefix, without it."""
    return {
        name.removeprefix(prefix): weight
        for name, weight in weights.items()
        if name.startswith(prefix)
    }


def match_names(wrapper: Iterable[str], network: Iterable[str]) -> dict[str, str]:
    """Maps the names in one of timm's feature wrappers to those in the network it wraps.

    FeatureListNet makes ``stages_0`` of ``stages.0``; FeatureGetterNet and FeatureHookNet may put
    the network under ``model`` and ``body``; others change nothing.
    """
    wrapped = set(wrapper)
    names = {}
    for name in network:
        for candidate in (name, name.replace(".", "_", 1), f"model.{name}", f"body.{name}"):
            if candidate in wrapped:
                names[candidate] = name
                break
    return names


def under_timm_names(weights: dict[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Brings weights of a network, however it was wrapped, under the names that timm gives it.

    Args:
        weights: By name in the file.
        names: From :func:`match_names`.
    """
    for prefix in _PREFIXES:
        if not any(name.startswith(prefix) for name in names.values()):
            weights = _under(prefix, weights) or weights
    return {names.get(name, name): weight for name, weight in weights.items()}
