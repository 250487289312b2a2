"""The record of a preparation: what a later run takes from it, and what it refuses."""

import hashlib
import json

import pytest

from mmseg_heritage.dataprep.hub.journal import JOURNAL, MANIFEST, Journal, Written
from mmseg_heritage.errors import InputError

ORIGIN = {"revision": None, "shards": [{"file": "a", "sha256": "0"}], "max_side": None}
IDS = {"a", "b"}


def record(name="a", column="image", content=b"content", **changes):
    fields = {
        "id": name,
        "column": column,
        "file": f"{column}s/{name}.png",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": [2, 1],
        "stored": "PNG RGB",
        "stored_size": [2, 1],
    }
    return Written(**(fields | changes))


@pytest.fixture
def started(tmp_path):
    """A journal with one file."""
    journal = Journal(tmp_path / "out", ORIGIN, IDS)
    journal.start()
    journal.add(record(), b"content")
    return journal


def test_what_was_added_is_read_again(started):
    again = Journal(started.root, ORIGIN, IDS)
    assert again.written == started.written == {("a", "image"): record()}
    assert (started.root / "images" / "a.png").read_bytes() == b"content"


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_line_that_was_cut_off_is_forgotten_and_mended(cut, started):
    path = started.root / JOURNAL
    started.add(record("b"), b"content")
    path.write_bytes(path.read_bytes()[:-cut])
    again = Journal(started.root, ORIGIN, IDS)
    assert set(again.written) <= {("a", "image"), ("b", "image")}
    again.start()
    again.add(record("b"), b"content")
    assert set(Journal(started.root, ORIGIN, IDS).written) == {("a", "image"), ("b", "image")}


def test_the_manifest_replaces_the_journal_and_is_replaced_by_it(started):
    started.finish({"skipped": {"b": ["faulty"]}}, started.written.values())
    assert not (started.root / JOURNAL).exists()
    again = Journal(started.root, ORIGIN, IDS)
    assert again.written == started.written
    assert again.skipped == {"b": ["faulty"]}
    again.metadata_sha256 = "1"
    again.start()
    assert not (started.root / MANIFEST).exists()
    last = Journal(started.root, ORIGIN, IDS)
    assert (last.written, last.skipped, last.metadata_sha256) == (started.written, {}, "1")


def test_files_that_are_gone_are_forgotten_and_changed_ones_refused(started):
    started.add(record("b"), b"content")
    (started.root / "images" / "a.png").unlink()
    started.verify(None)
    assert set(started.written) == {("b", "image")}
    (started.root / "images" / "b.png").write_bytes(b"CONTENT")
    with pytest.raises(InputError, match="Remove them to have them made again") as caught:
        started.verify(None)
    assert caught.value.problems == [
        f"{started.root / 'images' / 'b.png'}: changed since it was prepared"
    ]


def test_a_file_of_somebody_else_is_not_replaced(started):
    path = started.root / "images" / "b.png"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match="another file of this name"):
        started.add(record("b"), b"content")
    assert path.read_bytes() == b"mine"


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="found a file"):
        Journal(tmp_path / "file", ORIGIN, IDS)
    with pytest.raises(InputError, match="holds other files, such as file"):
        Journal(tmp_path, ORIGIN, IDS)


def test_another_origin_is_refused_with_every_difference(started):
    other = ORIGIN | {"shards": [*ORIGIN["shards"], {"file": "b", "sha256": "1"}], "max_side": 9}
    with pytest.raises(InputError, match="prepared from something else") as caught:
        Journal(started.root, other, IDS)
    assert caught.value.problems == [
        "Parquet files: 1 before, 2 now, 1 the same",
        "max_side: None before, 9 now",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../a.png"},
        {"file": "images/../../a.png"},
        {"file": "/images/a.png"},
        {"file": "annotations/a.png"},
        {"file": "images/b.png"},
        {"id": "c", "file": "images/c.png"},
        {"column": "metadata"},
        {"unknown": 1},
        {"file": None},
    ],
)
def test_a_manifest_that_points_elsewhere_is_refused(change, started):
    started.finish({"skipped": {}}, started.written.values())
    path = started.root / MANIFEST
    content = json.loads(path.read_text())
    content["files"][0].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="record of the earlier preparation cannot be read"):
        Journal(started.root, ORIGIN, IDS)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"schema": 1}'])
def test_a_record_that_is_none_is_refused(text, tmp_path):
    for name in (MANIFEST, JOURNAL):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=name):
            Journal(tmp_path, ORIGIN, IDS)
        (tmp_path / name).unlink()
