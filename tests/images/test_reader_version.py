"""The version of the readers changes with the packages that decode."""

import pytest

from mmseg_heritage.images import reader_version as module
from mmseg_heritage.images.reader_version import reader_version


@pytest.mark.parametrize("package", ["Pillow", "tifffile", "imagecodecs"])
def test_another_version_of_a_package_is_another_reader(monkeypatch, package):
    before = reader_version()
    assert before == reader_version()
    real = module.metadata.version
    monkeypatch.setattr(
        module.metadata, "version", lambda name: "0.0" if name == package else real(name)
    )
    assert reader_version() != before


def test_other_code_is_another_reader(monkeypatch):
    before = reader_version()
    monkeypatch.setattr(module, "sha256", lambda path: f"changed {path.name}")
    assert reader_version() != before
