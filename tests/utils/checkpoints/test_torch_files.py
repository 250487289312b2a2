"""Files of torch.save that state what they do not have: refused at once, and without the memory."""

import io
import os
import pickle
import pickletools
import struct
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import torch

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.checkpoints.checkpoint import DamagedCheckpoint, load_checkpoint_file

resource = pytest.importorskip("resource")  # not on Windows

HUGE = 10**10
FORMATS = pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])


def text(value: str) -> bytes:
    """Returns the instruction that pushes a text."""
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def integer(value: int) -> bytes:
    """Returns the instruction that pushes an integer."""
    return b"\x8a\x08" + value.to_bytes(8, "little")


def storage(elements: int, key: str = "0", legacy: bool = False, kind: str = "Float") -> bytes:
    """Returns instructions that push a storage."""
    return (
        b"(" + text("storage") + f"ctorch\n{kind}Storage\n".encode() + text(key) + text("cpu")
        + integer(elements) + b"N" * legacy + b"tQ"
    )  # fmt: skip


def tensor(held: bytes, shape: int, offset: int = 0, stride: int = 1) -> bytes:
    """Returns a pickle of one tensor with one dimension."""
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + held + integer(offset) + integer(shape)
        + b"\x85" + integer(stride) + b"\x85\x89ccollections\nOrderedDict\n)RtR."
    )  # fmt: skip


class Quickly:
    """Refuses to load a file within a second and without memory."""

    def __call__(self, path: Path, reason: str) -> None:
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        with pytest.raises(InputError, match=reason) as caught:
            load_checkpoint_file(path)
        assert time.process_time() - start < 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


refused_quickly = Quickly()


@FORMATS
class TestMemory:
    """A small file that asks for gigabytes."""

    def test_a_storage(self, as_zip, write_file):
        pickled = tensor(storage(HUGE, legacy=not as_zip), HUGE)
        refused_quickly(write_file(pickled, as_zip, {"0": bytes(4)}), "storage")

    @pytest.mark.parametrize(
        ("shape", "offset", "stride"),
        [
            (HUGE, 0, 1),
            (HUGE, 0, 0),
            (2, 0, HUGE),
            (1, HUGE, 1),
            (0, HUGE, 1),
            (3, 0, 1),
            (2, 1, 1),
        ],
    )
    def test_a_tensor_beyond_its_storage(self, shape, offset, stride, as_zip, write_file):
        pickled = tensor(storage(2, legacy=not as_zip), shape, offset, stride)
        path = write_file(pickled, as_zip, {"0": bytes(8)})
        if not as_zip:  # states 2 elements of 4 bytes, not 8 of 1
            content = path.read_bytes()
            path.write_bytes(content[:-16] + (2).to_bytes(8, "little") + bytes(8))
        refused_quickly(path, "larger than its storage")

    @pytest.mark.parametrize(
        "pickled",
        [
            b"cbuiltins\nbytearray\n" + integer(HUGE) + b"\x85R",
            b"cbuiltins\nset\ncbuiltins\nrange\n" + integer(HUGE) + b"\x85R\x85R",
            b"ctorch\nUntypedStorage\n" + integer(HUGE) + b"\x85R",
            b"ctorch\nUntypedStorage\n" + integer(HUGE) + b"\x85\x81",
            b"ctorch\nFloatTensor\n" + integer(HUGE) + b"\x85R",
            b"\x8e" + struct.pack("<Q", HUGE),  # BINBYTES8
            b"\x8d" + struct.pack("<Q", HUGE),  # BINUNICODE8
            b"\x96" + struct.pack("<Q", HUGE),  # BYTEARRAY8
            b"\x95" + struct.pack("<Q", HUGE),  # FRAME
            b"\x8b" + struct.pack("<i", 2**31 - 1),  # LONG4
            b"cnumpy\ndtype\n" + text("S999999999") + b"\x85R",
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01"
            + integer(HUGE) + b"\x85cnumpy\ndtype\n" + text("f8") + b"\x85R\x89C\x08"
            + bytes(8) + b"tb",
        ],
    )  # fmt: skip
    def test_one_instruction(self, pickled, as_zip, write_file):
        refused_quickly(write_file(b"\x80\x04" + pickled + b".", as_zip), "refused|not a whole")

    def test_one_text_copied_again_and_again(self, as_zip, write_file):
        copy = b"c_codecs\nencode\nh\x00" + text("latin1") + b"\x86R0"
        copies = copy.replace(b"0", b"") * 2000
        pickled = b"\x80\x02" + text("x" * 100_000) + b"q\x00" + copies + b"."
        refused_quickly(write_file(pickled, as_zip), "more memory than the file's length explains")


class TestZip:
    """Records of a zip that are not what torch.save writes."""

    def archive(self, path: Path, compression: int = zipfile.ZIP_STORED, **records: bytes) -> Path:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in records.items():
                archive.writestr(f"c/{name.replace('_', '/').replace('pkl', '.pkl')}", data)
        return path

    def test_compressed_records(self, tmp_path):
        path = self.archive(tmp_path / "c.pth", zipfile.ZIP_DEFLATED, datapkl=bytes(10**7))
        refused_quickly(path, r"data\.pkl is compressed")
        path = self.archive(tmp_path / "d.pth", zipfile.ZIP_DEFLATED, data_0=bytes(10**7))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("c/data.pkl", tensor(storage(10**7, kind="Byte"), 1))
        refused_quickly(path, "c/data/0 is compressed")

    def test_records_that_share_their_bytes(self, tmp_path):
        keys = [str(n) for n in range(100)]
        pickled = b"\x80\x02(" + b"".join(storage(10**6, key) for key in keys) + b"t."
        path = self.archive(tmp_path / "c.pth", datapkl=pickled, data_0=bytes(4 * 10**6))
        with zipfile.ZipFile(path, "a") as archive:
            first = archive.getinfo("c/data/0")
            for key in keys[1:]:  # entries of the directory only, all of one length
                entry = zipfile.ZipInfo(f"c/data/{key}")
                entry.header_offset, entry.CRC = first.header_offset, first.CRC
                entry.file_size = entry.compress_size = first.file_size
                archive.filelist.append(entry)
                archive.NameToInfo[entry.filename] = entry
            archive._didModify = True
        refused_quickly(path, "larger than the file|differ")

    @pytest.mark.parametrize(
        "records", [{}, {"readme": b"x"}, {"datapkl": b""}, {"datapkl": b"\x80\x02N."}]
    )
    def test_zips_of_something_else(self, records, tmp_path):
        path = self.archive(tmp_path / "c.pth", **records)
        if records.get("datapkl"):
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr("other/data.pkl", b"\x80\x02N.")
        refused_quickly(path, "not a whole checkpoint file")

    def test_a_changed_byte_of_a_tensor(self, tmp_path):
        torch.save({"w": torch.arange(1000.0)}, tmp_path / "c.pth")
        content = bytearray((tmp_path / "c.pth").read_bytes())
        content[content.index(struct.pack("<2f", 500, 501))] ^= 1
        (tmp_path / "c.pth").write_bytes(content)
        with pytest.raises(DamagedCheckpoint, match="CRC"):
            load_checkpoint_file(tmp_path / "c.pth")

    def test_the_other_byte_order(self, tmp_path):
        other = b"big" if struct.pack("=H", 1) == struct.pack("<H", 1) else b"little"
        path = self.archive(tmp_path / "c.pth", datapkl=b"\x80\x02N.", byteorder=other)
        refused_quickly(path, "byte order")


class TestLegacy:
    """Legacy files whose parts contradict each other."""

    def test_storages_that_are_larger_together_than_the_file(self, write_file):
        held = b"".join(storage(30, str(n), legacy=True) for n in range(50))
        refused_quickly(write_file(b"\x80\x02(" + held + b"t.", False), "larger than the file")

    def parts(self) -> list[bytes]:
        """Returns the pickles of a sound file of one tensor, and its bytes."""
        buffer = io.BytesIO()
        torch.save(torch.arange(4.0), buffer, _use_new_zipfile_serialization=False)
        buffer.seek(0)
        parts, start = [], 0
        for _ in range(5):
            list(pickletools.genops(buffer))  # reads to the end of one pickle
            parts.append(buffer.getvalue()[start : buffer.tell()])
            start = buffer.tell()
        return [*parts, buffer.getvalue()[start:]]

    @pytest.mark.parametrize(
        ("place", "content"),
        [
            (0, pickle.dumps(1, 2)),
            (1, pickle.dumps(1000, 2)),
            (2, pickle.dumps({}, 2)),
            (2, pickle.dumps({"little_endian": False}, 2)),
            (2, pickle.dumps(5, 2)),
            (4, pickle.dumps([], 2)),
            (4, pickle.dumps(["0"], 2)),
            (4, pickle.dumps(5, 2)),
            (4, pickle.dumps([{}], 2)),
            (5, b""),
            (5, struct.pack("<q", 5) + bytes(20)),
            (5, struct.pack("<q", 4) + bytes(15)),
            (5, struct.pack("<q", -1) + bytes(16)),
        ],
    )
    def test_every_part_is_checked(self, place, content, tmp_path):
        parts = self.parts()
        (tmp_path / "c.pth").write_bytes(b"".join(parts))
        assert torch.equal(load_checkpoint_file(tmp_path / "c.pth"), torch.arange(4.0))
        parts[place] = content
        (tmp_path / "c.pth").write_bytes(b"".join(parts))
        refused_quickly(tmp_path / "c.pth", "not a whole checkpoint file")


class TestSomethingElse:
    """Files that are no checkpoint, of any length."""

    LENGTH = 20 * 10**9

    @pytest.mark.parametrize(
        "start",
        [
            b"",
            b"PK\x03\x04",
            b"\x80\x02",
            pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"\x80\x02ctorch",
            pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"\x80\x04\x8e" + struct.pack("<Q", 19**9),
            b"\x80\x04\x95" + struct.pack("<Q", 19 * 10**9),
        ],
    )
    def test_twenty_gigabytes_of_zeros(self, start, tmp_path):
        path = tmp_path / "c.pth"
        path.write_bytes(start)
        os.truncate(path, self.LENGTH)  # takes no room on the disk
        refused_quickly(path, "not a whole checkpoint file|refused")

    def test_a_large_directory_of_a_zip(self, tmp_path):
        path = tmp_path / "c.pth"
        path.write_bytes(b"PK\x03\x04")
        os.truncate(path, 3 * 10**9)
        with path.open("ab") as file:
            file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 3 * 10**9 - 100, 100, 0))
        refused_quickly(path, "in one piece")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "the file is empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
            (b"<!DOCTYPE html>", "begins with b'<!DOCTYP'"),
            (bytes(1000), "begins with b'"),
            (b"\x80", "not a whole"),
            (b"\x80\x02N.", "torch.save did not write"),
        ],
    )
    def test_is_named_as_what_it_is(self, content, reason, tmp_path):
        (tmp_path / "c.pth").write_bytes(content)
        refused_quickly(tmp_path / "c.pth", reason)

    def test_tar_archives_of_torch_0_1(self, tmp_path):
        (tmp_path / "storages").write_bytes(b"x")
        with tarfile.open(tmp_path / "c.pth", "w", format=tarfile.USTAR_FORMAT) as tar:
            tar.add(tmp_path / "storages", "storages")
        refused_quickly(tmp_path / "c.pth", "begins with b'storages'")


@FORMATS
@pytest.mark.parametrize(
    "location",
    ["cpu", torch.device("cpu"), {"cpu": "cpu"}, lambda storage, where: storage,
     lambda storage, where: None],
    ids=["text", "device", "mapping", "function", "function that leaves it"],
)  # fmt: skip
def test_tensors_go_where_they_are_wanted(location, as_zip, tmp_path):
    shared = torch.arange(6.0)
    content = [shared[1:3], shared[::2], shared.reshape(2, 3).t(), shared[:0]]
    torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=as_zip)
    found = load_checkpoint_file(tmp_path / "c.pth", location)
    assert all(map(torch.equal, found, content))
    assert len({part.untyped_storage().data_ptr() for part in found}) == 1  # still shared
