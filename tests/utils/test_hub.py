"""The hub without a network."""

import socket

import pytest
from huggingface_hub import constants

from mmseg_heritage.utils.hub import has_no_network, offline_without_network


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    monkeypatch.setattr("mmseg_heritage.utils.hub.getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def _no_address(*_):
    raise socket.gaierror("Name or service not known")


def test_a_name_without_address_means_the_cache_alone(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _no_address)
    assert has_no_network()
    with pytest.raises(ValueError, match="inside"), offline_without_network():
        assert constants.HF_HUB_OFFLINE
        raise ValueError("inside")
    assert not constants.HF_HUB_OFFLINE


def test_with_a_network_nothing_changes(monkeypatch):
    def by_number(host, port):
        if isinstance(port, str):  # images without /etc/services know no names of services
            raise socket.gaierror("Servname not supported for ai_socktype")
        return []

    monkeypatch.setattr(socket, "getaddrinfo", by_number)
    with offline_without_network():
        assert not constants.HF_HUB_OFFLINE


def test_behind_a_proxy_nothing_changes(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _no_address)
    monkeypatch.setattr("mmseg_heritage.utils.hub.getproxies", lambda: {"https": "proxy:3128"})
    with offline_without_network():
        assert not constants.HF_HUB_OFFLINE
