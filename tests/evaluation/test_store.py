"""The file of counts: what is written is read, and what cannot be used is named."""

from dataclasses import fields, replace

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.counts.levels import derived_levels
from mmseg_heritage.evaluation.store import PARTS, SCHEMA, load_counts, save_counts
from mmseg_heritage.taxonomy import ARTEFACT


def _same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


def _equal(a, b):
    return all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("classes", [ARTEFACT.names, ("Clean", "Ümlaut, with comma"), ("A",)])
def test_what_is_written_is_read(random_counts, tmp_path, classes, own):
    counts = random_counts(classes=classes, own=own)
    save_counts(tmp_path / "new" / "per_image.npz", counts)
    read = load_counts(tmp_path / "new" / "per_image.npz")
    assert _equal(read, counts)
    assert all(read.has(part) for part in PARTS)


def test_parts_that_were_not_counted_are_empty(random_counts, tmp_path):
    full = random_counts()
    names = ("classes", "palette", "ids", "groups", "materials", "contents", "confusion")
    counts = type(full)(**{name: getattr(full, name) for name in names})
    save_counts(tmp_path / "per_image.npz", counts)
    read = load_counts(tmp_path / "per_image.npz")
    assert not any(read.has(part) for part in PARTS)
    assert read.select(np.array([0, 3])).ids == (full.ids[0], full.ids[3])


def test_some_images_are_selected_everywhere(random_counts):
    counts = random_counts(own=True)
    chosen = counts.select(np.array(counts.materials) == "Glass")
    assert chosen.ids == counts.ids[1::3]
    assert chosen.groups == counts.groups[1::3]
    assert np.array_equal(chosen.boundary, counts.boundary[1::3])
    assert np.array_equal(chosen.own["coarse"], counts.own["coarse"][1::3])
    assert chosen.classes == counts.classes


def test_levels_are_found_by_name():
    found = derived_levels(("Cracks", "Clean", "Background", "Moss"))
    assert found["binary"].fine_to_group == (1, 0, 255, 1)
    assert "coarse" not in found  # the group of an own class is not known
    found = derived_levels(("Cracks", "Clean", "Background"))
    assert found["binary"].fine_to_group == (1, 0, 255)
    assert found["coarse"].fine_to_group == (0, 255, 255)
    assert derived_levels(ARTEFACT.names)["coarse"] == ARTEFACT.levels["coarse"]
    assert derived_levels(("Clean", "Damage")).keys() == {"binary"}
    assert derived_levels(ARTEFACT.levels["coarse"].classes) == {}


def test_files_that_cannot_be_used_are_named(random_counts, tmp_path):
    path = tmp_path / "per_image.npz"
    with pytest.raises(InputError, match="no such file"):
        load_counts(path)
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read"):
        load_counts(path)
    np.savez(path, ids=np.array(["a"]), classes=np.array(["Clean"]), confusion=np.ones((1, 1, 1)))
    with pytest.raises(InputError, match=f"expected the schema {SCHEMA}, found an earlier one"):
        load_counts(path)
    save_counts(path, random_counts(own=True))
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{**arrays, "schema": "mmseg_heritage/per_image/9"})
    with pytest.raises(InputError, match="found mmseg_heritage/per_image/9"):
        load_counts(path)
    changes = {"confusion": arrays["confusion"][:3], "groups": arrays["groups"][1:]}
    np.savez(path, **{**arrays, **changes})
    with pytest.raises(InputError, match="is damaged") as caught:
        load_counts(path)
    assert len(caught.value.problems) == 2
    del arrays["head_coarse"]
    np.savez(path, **arrays)
    with pytest.raises(InputError, match="head_coarse"):
        load_counts(path)
    save_counts(path, random_counts())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="cannot be read"):
        load_counts(path)


def test_counts_that_do_not_fit_together_are_not_written(random_counts, tmp_path):
    counts = random_counts()
    for changes in ({"ids": counts.ids[::-1]}, {"boundary": counts.boundary[:, :3]}):
        with pytest.raises(ValueError, match="do not fit together"):
            save_counts(tmp_path / "per_image.npz", replace(counts, **changes))
    assert not list(tmp_path.iterdir())
