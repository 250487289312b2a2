"""Splits: the default one never leaks, and a manifest is obeyed only when it fits."""

import dataclasses
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_heritage.dataprep.layout import Sample, read_folder
from mmseg_heritage.dataprep.splits.split import (
    SCHEMA,
    Split,
    check_split,
    default_split,
    load_split,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import write_json


def _sample(sample_id, source_id=None, group_id=""):
    return Sample(sample_id, None, None, source_id or sample_id, group_id=group_id)


@st.composite
def data_sets(draw):
    """Originals, some with copies, and tiles of photographs that are not in the data set."""
    originals = draw(st.lists(st.text(max_size=6), min_size=3, max_size=40, unique=True))
    samples = [_sample(f"o{name}") for name in originals]
    for name in originals:
        copies = draw(st.integers(0, 3))
        samples += [_sample(f"c{i}{name}", f"o{name}") for i in range(copies)]
    orphans = draw(st.lists(st.text(max_size=6), max_size=5, unique=True))
    samples += [_sample(f"t{name}", f"s{name}") for name in orphans]
    return samples


@given(data_sets(), st.randoms())
def test_the_default_split_never_leaks_and_never_depends_on_order(samples, rng):
    split = default_split(samples)
    by_id = {s.id: s for s in samples}
    assert set(split.parts) == {"train", "val", "test"}
    sources = {part: {by_id[i].source_id for i in ids} for part, ids in split.parts.items()}
    assert not sources["train"] & sources["val"]
    assert not sources["train"] & sources["test"]
    assert not sources["val"] & sources["test"]
    assert not any(by_id[i].is_derived for part in ("val", "test") for i in split.parts[part])
    assert all(split.parts.values())
    # Left out are the copies of what is scored, and nothing else.
    left_out = by_id.keys() - {i for ids in split.parts.values() for i in ids}
    held_out = sources["val"] | sources["test"]
    assert left_out == {s.id for s in samples if s.is_derived and s.source_id in held_out}
    check_split(split, samples, "default")

    shuffled = rng.sample(samples, len(samples))
    assert default_split(shuffled) == split


@given(st.integers(3, 500))
def test_shares_are_15_percent_each_and_at_least_one(count):
    parts = default_split([_sample(f"s{i}") for i in range(count)]).parts
    assert len(parts["val"]) == len(parts["test"]) == max(1, round(0.15 * count))
    assert sum(map(len, parts.values())) == count


def test_the_default_split_is_that_of_every_other_machine():
    # Pinned: results of different versions are comparable only while this does not change.
    split = default_split([_sample(f"photo-{i}") for i in range(10)])
    assert split.name == "default"
    assert split.parts["val"] == ("photo-2", "photo-4")
    assert split.parts["test"] == ("photo-3", "photo-7")


@given(data_sets(), st.data())
def test_the_default_split_keeps_groups_together(samples, data):
    names = st.sampled_from(("", "", "", "g", "h"))
    samples = [dataclasses.replace(s, group_id=data.draw(names)) for s in samples]
    try:
        split = default_split(samples)
    except InputError as error:
        assert "needs 3 source objects" in str(error)
        return
    assert all(split.parts.values())
    check_split(split, samples, "default")  # refuses divided groups, as shown below


def test_groups_that_follow_no_other_change_nothing():
    samples = [_sample(f"photo-{i}") for i in range(10)]
    grouped = [dataclasses.replace(s, group_id=f"group of {s.id}") for s in samples]
    assert default_split(grouped) == default_split(samples)


def test_fewer_than_three_originals_cannot_be_divided():
    copies = [_sample(f"copy{i}", f"source{i}") for i in range(5)]
    with pytest.raises(InputError, match=r"needs 3 source objects .* found 2"):
        default_split([_sample("a"), _sample("b"), *copies])


def _written(tmp_path, content):
    path = tmp_path / "split.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def _manifest(**parts):
    return {"schema": SCHEMA, "name": "holdout", "parts": parts}


def test_a_manifest_comes_back_as_written(tmp_path):
    split = Split("mine", {"train": ("a", "b"), "val": ("c",)})
    assert load_split(_written(tmp_path, split.to_json())) == split
    assert split.part("val") == ("c",)


def test_the_manifest_of_the_sample_set_fits_it(sample_set):
    path = sample_set / "splits" / "holdout.json"
    split = load_split(path)
    check_split(split, read_folder(sample_set), path)
    assert split.name == "holdout"
    assert sum(map(len, split.parts.values())) == 12


def test_a_nameless_manifest_is_called_like_its_file_and_may_have_a_byte_order_mark(tmp_path):
    content = {"schema": SCHEMA, "parts": {"train": ["b", "a"]}}
    path = tmp_path / "fold 3.json"
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    assert load_split(path) == Split("fold 3", {"train": ("a", "b")})


def test_how_a_split_was_made_is_kept(tmp_path):
    details = {"seed": 3, "kind": "kfold", "near_duplicates": {"groups": [["a", "b"]]}}
    split = Split("mine", {"train": ("a", "b"), "val": ("c",)}, details)
    again = load_split(_written(tmp_path, split.to_json()))
    assert again == split
    assert again.near_duplicates == [["a", "b"]]
    assert Split("s", {}).near_duplicates == []


def test_a_manifest_whose_parts_were_edited_is_refused(tmp_path):
    content = Split("s", {"train": ("a", "b"), "test": ("c",)}).to_json()
    content["parts"] = {"train": ["b", "a"], "test": ["c"]}  # the same
    load_split(_written(tmp_path, content))
    content["parts"]["train"].append("d")
    with pytest.raises(InputError, match=r"split\.json: the parts are not those .* sha256"):
        load_split(_written(tmp_path, content))
    del content["sha256"]
    assert load_split(_written(tmp_path, content)).part("train") == ("a", "b", "d")


def test_keys_of_another_form_are_gathered(tmp_path):
    keys = {"near_duplicates": {"groups": "ab"}, "left_out": [1], "folds": "5", "held_out": ["x"]}
    with pytest.raises(InputError, match=r"split\.json: keys of a split manifest") as caught:
        load_split(_written(tmp_path, _manifest(train=["a"]) | keys))
    assert len(caught.value.problems) == 4
    load_split(_written(tmp_path, _manifest(train=["a"]) | {"near_duplicates": {}, "note": 1}))


def test_a_folder_of_folds_is_not_a_manifest(tmp_path):
    with pytest.raises(InputError, match=r"found a folder; .* --fold all"):
        load_split(tmp_path)


def test_an_unknown_part_names_those_there_are():
    with pytest.raises(InputError, match="'holdout' has no part 'dev'; it has test, train"):
        Split("holdout", {"train": ("a",), "test": ("b",)}).part("dev")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{'schema': 1}", r"split\.json: expected a split manifest in JSON"),
        ("", r"split\.json: expected a split manifest in JSON"),
        ({"schema": "other/1", "parts": {}}, "found other/1"),
        ({"parts": {"train": ["a"]}}, "found None"),
        (["a", "b"], "found list"),
        ({"schema": SCHEMA}, '"parts" to map names to lists of ids'),
        ({"schema": SCHEMA, "parts": {"train": "a"}}, '"parts" to map'),
        ({"schema": SCHEMA, "parts": {"train": [1, 2]}}, '"parts" to map'),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        load_split(_written(tmp_path, content))


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json: .* there is no such file, and no other"):
        load_split(tmp_path / "nowhere.json")


def test_beside_a_missing_manifest_those_that_are_there_are_named(tmp_path):
    folder = tmp_path / "splits"
    (folder / "kfold-2").mkdir(parents=True)
    manifests = [folder / "holdout.json", folder / "kfold-2" / "fold-1.json"]
    for path in manifests:
        path.write_text(json.dumps({"schema": SCHEMA, "parts": {"train": ["a"]}}))
    (folder / "weights.json").write_text("[1, 2]")
    for missing in (folder / "nowhere.json", tmp_path / "nowhere.json"):
        with pytest.raises(InputError, match="there is no such file") as caught:
            load_split(missing)
        assert caught.value.problems == [str(path) for path in manifests]
    with pytest.raises(InputError, match=str(tmp_path)):
        load_split(tmp_path)


def test_all_overlaps_of_a_manifest_are_gathered(tmp_path):
    path = _written(
        tmp_path, _manifest(train=["a", "b", "c"], val=["b", "d"], test=["c", "e", "e"])
    )
    with pytest.raises(InputError, match="must not overlap") as caught:
        load_split(path)
    assert caught.value.problems == [
        "'b' is in 'train' and in 'val'",
        "'c' is in 'train' and in 'test'",
        "'e' is in 'test' and in 'test'",
    ]


def test_everything_that_does_not_fit_the_data_set_is_gathered():
    samples = [_sample("a"), _sample("a_flip", "a"), _sample("b"), _sample("b_tile", "b")]
    split = Split("s", {"train": ("a_flip", "gone"), "val": ("a",), "test": ("b_tile",)})
    with pytest.raises(InputError, match=r"manifest\.json: the split does not fit") as caught:
        check_split(split, samples, "manifest.json")
    assert caught.value.problems == [
        "part 'train' names 'gone', which the data set lacks",
        "part 'test' holds 'b_tile', a copy of 'b'",
        "source object 'a' is in several parts: ['train', 'val']",
    ]


def test_divided_near_duplicates_are_refused_whoever_named_them():
    samples = [_sample("a", group_id="g"), _sample("b", group_id="g"), _sample("c"), _sample("d")]
    details = {"near_duplicates": {"groups": [["c", "d", "gone"]]}}
    parts = {"train": ("a", "c"), "val": ("b",), "test": ("d",)}
    with pytest.raises(InputError) as caught:
        check_split(Split("s", parts, details), samples, "m")
    assert caught.value.problems == [
        "near-duplicates of one group are in several parts: 'a' in train, 'b' in val",
        "near-duplicates of one group are in several parts: 'c' in train, 'd' in test",
    ]
    check_split(Split("s", {"train": ("a", "b"), "val": ("c",), "test": ("d",)}), samples, "m")


def test_a_manifest_may_leave_samples_out():
    check_split(Split("s", {"train": ("a",)}), [_sample("a"), _sample("b")], "m")


def test_the_digest_tells_what_is_in_which_part_and_nothing_else(tmp_path):
    ids = [f"s{i}" for i in range(6)]
    digests = set()
    for seed in range(5):
        mixed = random.Random(seed).sample(ids, 6)
        content = _manifest(train=mixed, val=["v"]) | {"name": f"name {seed}"}
        split = load_split(_written(tmp_path, json.dumps(content, indent=seed)))
        digests.add(split.digest())
        digests.add(Split("direct", {"val": ("v",), "train": tuple(mixed)}).digest())
    assert len(digests) == 1
    (digest,) = digests
    assert len(digest) == 64
    assert Split("s", {"train": (*ids, "v"), "val": ()}).digest() != digest
    assert Split("s", {"train": tuple(ids), "test": ("v",)}).digest() != digest


def test_accents_are_composed_as_in_the_ids_of_files(tmp_path):
    parts = {"train": ("e\u0301", "x"), "val": (), "test": ()}
    near = {"near_duplicates": {"groups": [["e\u0301", "x"]]}}
    write_json(tmp_path / "s.json", Split("s", parts, near).to_json())
    split = load_split(tmp_path / "s.json")
    assert split.parts["train"] == ("x", "\xe9")
    assert split.near_duplicates == [["\xe9", "x"]]
