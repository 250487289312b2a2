"""The model hub without a network."""

import socket

import pytest
from huggingface_hub import constants

from mmseg_heritage.utils.hub import cache_alone_without_network


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    monkeypatch.setattr("mmseg_heritage.utils.hub.getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def _no_address(*_):
    raise socket.gaierror("Name or service not known")


def test_a_name_without_address_means_the_cache_alone(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _no_address)
    with pytest.raises(ValueError, match="inside"), cache_alone_without_network():
        assert constants.is_offline_mode()
        raise ValueError("inside")
    assert not constants.is_offline_mode()


def test_with_a_network_nothing_changes(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
    with cache_alone_without_network():
        assert not constants.is_offline_mode()


def test_behind_a_proxy_nothing_changes(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _no_address)
    monkeypatch.setattr("mmseg_heritage.utils.hub.getproxies", lambda: {"https": "proxy:3128"})
    with cache_alone_without_network():
        assert not constants.is_offline_mode()
