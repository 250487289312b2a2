"""Files of torch.save around any pickle."""

import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
SYSTEM = pickle.dumps({"little_endian": True}, 2)

WriteFile = Callable[..., Path]


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    """Returns ``write(pickled, as_zip, storages={})``: a file around a pickle, well-formed itself.

    The storages map keys to bytes, which a legacy file states as so many elements of one byte.
    """

    def write(pickled: bytes, as_zip: bool, storages: Mapping[str, bytes] = {}) -> Path:
        path = tmp_path / "crafted.pth"
        if as_zip:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("crafted/data.pkl", pickled)
                for key, data in storages.items():
                    archive.writestr(f"crafted/data/{key}", data)
        else:
            content = MAGIC + SYSTEM + pickled + pickle.dumps(list(storages), 2)
            for data in storages.values():
                content += len(data).to_bytes(8, "little") + data
            path.write_bytes(content)
        return path

    return write
