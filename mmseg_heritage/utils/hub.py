"""The model hub, where there is no network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies


@contextmanager
def cache_alone_without_network() -> Iterator[None]:
    """Has the client of the Hugging Face hub look into its cache alone where there is no network.

    It would try each file six times, for half a minute, with a warning each time. Behind a proxy,
    which looks names up itself, nothing is changed.

    Raises:
        ImportError: If huggingface_hub is missing.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _has_address(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _has_address(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme in getproxies() or "all" in getproxies():
        return True
    try:
        socket.getaddrinfo(parts.hostname, parts.port or parts.scheme)
    except OSError:
        return False
    return True
