"""Wrong command lines end with one message and an exit code, never with a traceback or success.

Set MMSEG_HERITAGE_LINES to a number to try so many.
"""

import os
import random
import shutil
import signal

import pytest

from mmseg_heritage.cli import COMMANDS, main

LINES = int(os.environ.get("MMSEG_HERITAGE_LINES", "330"))
ODD = (
    "", " ", ".", "/dev/null", "nowhere", "nowhere/at/all", "~nobody/x", "~none/x",
    "-1", "0", "1e9", "nan", "inf", "x" * 300, "a\nb", "caf\udce9", "\x1b[31mred", "*", "a=b",
    "a,b", "[]", "{}", "[[", "None", "9" * 24, "http://127.0.0.1:9/x.pth", "${HOME}",
)  # fmt: skip
OPTIONS = (
    "model=5", "model=[]", "visualizer=5", "auto_scale_lr=5", "train_cfg=None", "optim_wrapper=x",
    "train_dataloader=3", "model.backbone=None", "crop_size=abc", "crop_size=-5", "crop_size=1e99",
    "batch_size=0", "max_epochs=nan", "data_root=", "a.b.c=1", "=", "num_workers=-1", "scale=",
    "custom_hooks=7", "default_hooks=7", "randomness=x", "env_cfg=3", "param_scheduler=9",
    "train_pipeline=1", "test_dataloader=[]", "work_dir=5", "load_from=5", "inference.scales=[x]",
    "inference=7", "model.decode_head=[]", "lr=abc", "val_evaluator=None", "cache=floppy",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory, sample_set, tiny_run):
    """Paths of every kind that a command line may name."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "empty").mkdir()
    (folder / "empty.json").write_text("")
    (folder / "null.json").write_text("null")
    (folder / "text.py").write_text("this is no Python(")
    (folder / "exits.py").write_text("import sys\nsys.exit(0)\n")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "gone").symlink_to(folder / "nothing")
    os.mkfifo(folder / "fifo.json")
    shutil.copy(next((sample_set / "images").iterdir()), folder / "photo.png")
    (folder / "zeros.pth").write_bytes(bytes(5000))
    names = ["empty", "fifo.json", "empty.json", "null.json", "text.py", "exits.py", "loop", "gone",
             "photo.png", "zeros.pth", "loop/x", "photo.png/x"]  # fmt: skip
    shutil.copytree(sample_set, folder / "data")
    shutil.copytree(tiny_run.folder, folder / "run")
    names += ["data", "data/images", "run", "run/iter_3.pth", "run/tiny.py"]
    return [str(folder / name) for name in names]


def _arguments(module, parser_of, files, rng):
    """Returns a command line with values for its arguments, of which some are odd."""
    parser = parser_of(module)
    found = []
    for action in parser._actions:
        if action.dest in ("help", "full", "yes"):
            continue
        if action.option_strings and not action.required and rng.random() < 0.7:
            continue
        value = rng.choice(files if rng.random() < 0.6 else ODD)
        if action.dest == "cfg_options":
            value = rng.choice(OPTIONS)
        if action.choices and rng.random() < 0.7:
            value = str(rng.choice(list(action.choices)))
        values = [] if action.nargs == 0 else [value] * rng.choice((1, 1, 1, 2))
        if action.nargs in (None, "?", 1):
            values = values[:1]
        found += [action.option_strings[0]] if action.option_strings else []
        found += values
    return found


@pytest.fixture
def parser_of():
    """A function that returns the parser of a command."""
    import argparse

    def make(module):
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        return parser

    return make


class TooLongError(BaseException):
    """A command did not end; no command's own business, which it could catch."""


def _stop(*_):
    raise TooLongError


# Which do something sensible without any argument, with a folder, or with a checkpoint alone.
HARMLESS = ("calibrate", "doctor", "init", "make-sample-data")
# Which succeed where they are given a run, its checkpoint or its config, and no odd option of it.
OF_A_RUN = ("compare", "model-stats", "test")


@pytest.mark.parametrize(
    "seeds", [range(12), pytest.param(range(12, LINES), marks=pytest.mark.slow)]
)
def test_one_message_and_an_exit_code(seeds, files, parser_of, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    earlier = signal.signal(signal.SIGALRM, _stop)
    modules = [module for module in COMMANDS if not module.__name__.endswith(".quickstart")]
    wrong = []
    for seed in seeds:
        rng = random.Random(seed)
        module = rng.choice(modules)
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        argv = [name, *_arguments(module, parser_of, files, rng)]
        signal.alarm(60)
        try:
            code = main(argv)
        except SystemExit as error:  # of argparse
            code = error.code
        except BaseException as error:
            code = repr(error)
        finally:
            signal.alarm(0)
        said = capfd.readouterr()
        is_right = name in HARMLESS or (name in OF_A_RUN and "--cfg-options" not in argv)
        if code not in (1, 2) and not (code == 0 and is_right):
            wrong.append((code, argv))
        elif "Traceback" in said.out + said.err or (code == 2 and "error:" not in said.err):
            wrong.append((said.err, argv))
    signal.signal(signal.SIGALRM, earlier)
    assert not wrong, "\n".join(map(str, wrong))
