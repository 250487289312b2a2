"""The Hugging Face hub, where there is no network."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies

NO_NETWORK = "its name has no address here: there is no network"
_SETTING = threading.Lock()


def has_no_network() -> bool:
    """Whether the hub cannot be reached, since its name has no address.

    Its client would try each file six times, for half a minute, with a warning each time. Behind a
    proxy, which looks names up itself, this is not known, and False.

    Raises:
        ImportError: If huggingface_hub is missing.
    """
    from huggingface_hub import constants

    parts = urlsplit(constants.ENDPOINT)
    if parts.scheme in getproxies() or "all" in getproxies():
        return False
    try:
        socket.getaddrinfo(parts.hostname, parts.port)
    except OSError:
        return True
    return False


@contextmanager
def offline_without_network() -> Iterator[None]:
    """Has huggingface_hub look into its cache alone where there is no network.

    For callers that cannot pass it ``local_files_only``, such as timm's.

    Raises:
        ImportError: If huggingface_hub is missing.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or not has_no_network():
        yield
        return
    with _SETTING:
        _set_offline(True)
        try:
            yield
        finally:
            _set_offline(False)


def _set_offline(value: bool) -> None:
    from huggingface_hub import constants, utils

    constants.HF_HUB_OFFLINE = value
    # Releases before 1.0 keep connections that were made offline, or were not.
    getattr(utils, "reset_sessions", lambda: None)()
