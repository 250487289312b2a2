"""Names of timm's networks."""

from __future__ import annotations

import timm

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.text import did_you_mean


def check_model_name(name: str) -> None:
    """Verifies that timm has a model, and weights of the tag where the name has one.

    Args:
        name: As in ``timm.list_models()``, also with a tag ('resnet50.a1_in1k').

    Raises:
        InputError: With similar names, or with the tags that there are.
    """
    if not timm.is_model(name):
        hint = did_you_mean(name, timm.list_models()) or "; see timm.list_models()"
        raise InputError(f"timm {timm.__version__} has no model '{name}'{hint}")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        architecture = timm.models.get_arch_name(name)
        tags = timm.list_pretrained(f"{architecture}.*")
        raise InputError(
            f"timm has no weights '{name}'; there are {', '.join(tags) or 'none'}"
        ) from error
