"""What several commands share."""

import argparse
import re

import pytest

from mmseg_heritage.cli import _parse
from mmseg_heritage.cli.common import add_checkpoint_arguments, parse_options, split_inputs
from mmseg_heritage.errors import InputError


class TestOptions:
    """``--cfg-options``."""

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("4", 4),
            ("1e-3", 1e-3),
            ("data/artefact", "data/artefact"),
            ("none", None),
            ("None", None),
            ("true", True),
            ("False", False),
            ("[1, 2]", [1, 2]),
            ("1,2", [1, 2]),
            ("a,b", ["a", "b"]),
            ("(1, 2)", (1, 2)),
            ("'None'", "None"),
            ("a=b", "a=b"),
            ("", ""),
        ],
    )
    def test_values(self, text, value):
        found = parse_options([f"key={text}"])["key"]
        assert found == value
        assert type(found) is type(value)

    def test_what_is_no_pair_is_listed(self):
        with pytest.raises(InputError) as caught:
            parse_options(["a=1", "b", "c"])
        assert caught.value.problems == ["'b'", "'c'"]


@pytest.mark.parametrize(
    ("given", "more", "expected"),
    [
        ("a.pth", "", (None, "a.pth", [])),
        ("c.py a.pth", "", ("c.py", "a.pth", [])),
        ("segformer_mitb3_artefact a.pth", "", ("segformer_mitb3_artefact", "a.pth", [])),
        ("run/epoch_5 --config c.py", "", ("c.py", "run/epoch_5", [])),
        ("a.pth photos", "PHOTOS", (None, "a.pth", ["photos"])),
        ("c.py a.pth 1.jpg 2.jpg", "PHOTOS", ("c.py", "a.pth", ["1.jpg", "2.jpg"])),
    ],
)
def test_what_is_given_is_divided_by_number_and_kind(given, more, expected):
    assert split_inputs(_parsed(given, more), more) == expected


@pytest.mark.parametrize(
    ("given", "more", "message"),
    [
        ("c.py", "", "expected [CONFIG] CHECKPOINT: c.py is taken for a config, and no checkpoint"),
        ("a.pth c.py", "", "the config c.py must be the first"),
        ("c.py d.py", "", "the config d.py must be the first"),
        ("a.pth b.pth", "", "found more after a.pth: b.pth"),
        ("c.py a.pth --config d.py", "", "two configs are given, c.py and --config d.py"),
        ("a.pth", "PHOTOS", "expected [CONFIG] CHECKPOINT PHOTOS, found nothing after a.pth"),
        ("c.py photos/", "PHOTOS", "found nothing after photos/"),
        ("photos/ a.pth", "PHOTOS", "the checkpoint a.pth must come before photos/"),
        ("a.pth photos/ b.onnx", "PHOTOS", "two checkpoints are given, a.pth and b.onnx"),
        ("a.pth batch=2 photos/", "PHOTOS", "found batch=2; KEY=VALUE pairs follow --cfg-options"),
    ],
)
def test_what_cannot_be_divided_is_told(given, more, message):
    with pytest.raises(InputError, match=re.escape(message)):
        split_inputs(_parsed(given, more), more)


def _parsed(given, more):
    parser = argparse.ArgumentParser()
    add_checkpoint_arguments(parser, more)
    return parser.parse_args(given.split())


def test_a_file_without_suffix_is_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").touch()
    assert split_inputs(_parsed("weights", "")) == (None, "weights", [])


def test_options_may_stand_between_what_is_given():
    args = _parse(["test", "c.py", "--launcher", "pytorch", "a.pth", "--overwrite"])
    assert (args.inputs, args.launcher, args.overwrite) == (["c.py", "a.pth"], "pytorch", True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("predct a.pth", "there is no command 'predct'; did you mean predict? (--help lists all)"),
        ("test a.pth --overwite", "test: error: unrecognized arguments: --overwite; did you mean"),
        ("train c.py batch_size=2", "batch_size=2; KEY=VALUE pairs follow --cfg-options"),
        ("doctor more", "doctor: error: unrecognized arguments: more\n"),
    ],
)
def test_what_cannot_be_parsed_is_told_with_what_may_be_meant(given, message, capsys):
    with pytest.raises(SystemExit) as raised:
        _parse(given.split())
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ["Fotos, Museum", "2021", "a,b", "[x]", "1e3", "True"])
def test_paths_and_names_stay_text(text):
    names = ("data_root", "split_file", "pretrained", "train_dataloader.dataset.data_root",
             "load_from", "work_dir", "experiment_name")  # fmt: skip
    assert parse_options([f"{name}={text}" for name in names]) == dict.fromkeys(names, text)


def test_none_is_a_name_where_it_is_one_of_several():
    given = ["augmentation=none", "train_dataloader.dataset.cache=none", "seed=none"]
    assert list(parse_options(given).values()) == ["none", "none", None]


def test_none_stays_none():
    assert parse_options(["pretrained=none", "load_from=None"]) == {
        "pretrained": None, "load_from": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[1, 2.5]", [1, 2.5]), ("1,2", [1, 2]), ("none", None), ("a, b/w.json", "a, b/w.json"),
     ("weights.json", "weights.json")],
)  # fmt: skip
def test_class_weights_are_numbers_or_a_file(text, expected):
    assert parse_options([f"class_weights={text}"]) == {"class_weights": expected}
