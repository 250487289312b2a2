"""The sample set on disk: repeatable, legal, complete, and never half written."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.sample_set import generate, make_sample_set
from mmseg_heritage.sample_set.artworks.all_artworks import MAKERS
from mmseg_heritage.taxonomy import ARTEFACT, CONTENTS, IGNORE_INDEX, MATERIALS

REAL_COMBINATIONS = {
    "Paper": set(CONTENTS),
    "Parchment": {"Artistic depiction", "Line art"},
    "Glass": {"Artistic depiction", "Photographic depiction"},
    "Tesserae": {"Artistic depiction", "Geometric patterns"},
    "Wood": {"Artistic depiction"},
    "Canvas": {"Artistic depiction"},
    "Lime plaster": {"Artistic depiction"},
    "Film emulsion": {"Photographic depiction"},
    "Textile": {"Artistic depiction", "Geometric patterns"},
    "Ceramic": {"Artistic depiction", "Geometric patterns"},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample_set(tmp_path_factory.mktemp("small") / "set", 12, 96, seed=3)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample_set(tmp_path_factory.mktemp("full") / "set", 48, 64)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def mask_of(folder: Path, row: dict[str, str]) -> np.ndarray:
    return np.asarray(Image.open(folder / row["annotation_path"]))


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


def test_the_same_arguments_make_the_same_bytes(small: Path, tmp_path: Path) -> None:
    assert digests(make_sample_set(tmp_path / "again", 12, 96, seed=3)) == digests(small)


def test_an_image_does_not_depend_on_how_many_follow(small: Path, tmp_path: Path) -> None:
    fewer = digests(make_sample_set(tmp_path / "fewer", 5, 96, seed=3))
    more = digests(small)
    pictures = [name for name in fewer if name.endswith(".png")]
    assert len(pictures) == 10
    assert {name: fewer[name] for name in pictures} == {name: more[name] for name in pictures}


def test_another_seed_makes_other_pictures(small: Path, tmp_path: Path) -> None:
    other = digests(make_sample_set(tmp_path / "other", 3, 96, seed=4))
    assert all(other[name] != digests(small)[name] for name in other if name.startswith("images/"))


def test_masks_are_legal_and_fit_their_images(small: Path) -> None:
    legal = {row.id for row in ARTEFACT.classes} | {IGNORE_INDEX}
    for row in rows_of(small):
        with Image.open(small / row["image_path"]) as image:
            mode, size = image.mode, image.size
        with Image.open(small / row["annotation_path"]) as annotation:
            assert (mode, annotation.mode) == ("RGB", "L")
            assert size == annotation.size == (int(row["width"]), int(row["height"]))
        assert 96 <= max(size) <= 120
        assert set(np.unique(mask_of(small, row)).tolist()) <= legal


def test_every_picture_is_mostly_object_and_mostly_clean(full: Path) -> None:
    for row in rows_of(full):
        mask = mask_of(full, row)
        assert np.mean(mask == IGNORE_INDEX) < 0.6, row["id"]
        assert np.mean(mask == 0) > 0.2, row["id"]


def test_some_objects_fill_the_picture_and_some_lie_on_a_backdrop(full: Path) -> None:
    surrounded = [bool((mask_of(full, row) == IGNORE_INDEX).any()) for row in rows_of(full)]
    assert 8 <= sum(surrounded) <= 40


def test_metadata_describes_the_files(small: Path) -> None:
    rows = rows_of(small)
    assert tuple(rows[0]) == generate.COLUMNS
    assert [row["id"] for row in rows] == [f"sample_{k:04d}" for k in range(12)]
    for row in rows:
        present = set(np.unique(mask_of(small, row)).tolist())
        names = [r.name for r in ARTEFACT.classes if r.id in present and r.id != 0]
        assert row["damage_description"] == ", ".join(names)
        assert row["type"]
    for folder, column in (("images", "image_path"), ("annotations", "annotation_path")):
        files = {p.relative_to(small).as_posix() for p in (small / folder).iterdir()}
        assert files == {row[column] for row in rows}


def test_every_damage_is_in_at_least_four_of_the_default_48(full: Path) -> None:
    images_with = Counter[int]()
    for row in rows_of(full):
        images_with.update(np.unique(mask_of(full, row)).tolist())
    assert min(images_with[row.id] for row in ARTEFACT.classes if row.id != 0) >= 4


def test_all_materials_and_contents_occur_within_twenty_images(full: Path) -> None:
    first = rows_of(full)[:20]
    assert {row["material"] for row in first} == set(MATERIALS)
    assert {row["content"] for row in first} == set(CONTENTS)


def test_objects_are_those_of_the_real_data() -> None:
    made = {material: {c for m, c in MAKERS if m == material} for material in MATERIALS}
    assert made == REAL_COMBINATIONS


@pytest.mark.parametrize("folder", ["small", "full"])
def test_the_split_is_a_partition(folder: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(folder)
    split = json.loads((root / "splits" / "holdout.json").read_text(encoding="utf-8"))
    assert (split["schema"], split["name"]) == ("mmseg_heritage/split/1", "holdout")
    parts = split["parts"]
    assert list(parts) == ["train", "val", "test"]
    assert all(ids == sorted(ids) and ids for ids in parts.values())
    assert sorted(chain.from_iterable(parts.values())) == [row["id"] for row in rows_of(root)]


def test_train_and_test_hold_every_damage_that_is_not_rare(full: Path) -> None:
    parts = json.loads((full / "splits" / "holdout.json").read_text(encoding="utf-8"))["parts"]
    assert [len(parts[name]) for name in ("train", "val", "test")] == [29, 7, 12]
    damages = {row["id"]: row["damage_description"].split(", ") for row in rows_of(full)}
    often = {name for name, n in Counter(chain.from_iterable(damages.values())).items() if n >= 3}
    for part in ("train", "test"):
        assert often <= {name for key in parts[part] for name in damages[key]}


def test_the_readme_says_how_it_was_made(small: Path) -> None:
    text = (small / "README.txt").read_text(encoding="utf-8")
    assert "num_images=12, size=96, seed=3" in text
    assert "CC0" in text


def test_progress_is_reported_after_each_image(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    make_sample_set(
        tmp_path / "set", 3, 64, progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_a_complete_set_is_left_as_it_is(tmp_path: Path) -> None:
    out = make_sample_set(tmp_path / "set", 3, 64)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    assert make_sample_set(out, 3, 64) == out
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "set"
    out.mkdir(parents=True)
    assert (make_sample_set(out, 3, 64) / "metadata.csv").is_file()


def test_other_arguments_do_not_overwrite(tmp_path: Path) -> None:
    out = make_sample_set(tmp_path / "set", 3, 64)
    before = digests(out)
    with pytest.raises(InputError, match="nothing is overwritten"):
        make_sample_set(out, 3, 64, seed=1)
    assert digests(out) == before


def test_an_incomplete_set_is_not_taken_for_complete(tmp_path: Path) -> None:
    out = make_sample_set(tmp_path / "set", 3, 64)
    (out / "images" / "sample_0001.png").unlink()
    with pytest.raises(InputError, match="not empty"):
        make_sample_set(out, 3, 64)


def test_foreign_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        make_sample_set(tmp_path, 3, 64)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is a file"):
        make_sample_set(tmp_path / "set", 3, 64)


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_a_stopped_run_leaves_nothing(tmp_path: Path, stop: type[BaseException]) -> None:
    def fail(done: int, total: int) -> None:
        if done == 2:
            raise stop

    with pytest.raises(stop):
        make_sample_set(tmp_path / "set", 3, 64, progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_all_bad_arguments_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        make_sample_set(tmp_path / "set", num_images=2, size=32, seed=-1)
    assert [p.split(":")[0] for p in caught.value.problems] == ["num_images", "size", "seed"]
    with pytest.raises(InputError, match=r"num_images: 1000000*, at most 100000"):
        make_sample_set(tmp_path / "set", num_images=10**20)
    with pytest.raises(InputError, match="whole number"):
        make_sample_set(tmp_path / "set", num_images=3.5)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
