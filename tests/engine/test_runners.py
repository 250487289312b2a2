"""Warnings reach the console in plain words; the log file gets everything as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmseg_heritage.engine.runners import WholeConfigRunner, quiet


def test_the_console_shows_warnings_only(tmp_path, capsys):
    log = tmp_path / "run.log"
    logger = MMLogger("quiet test", log_file=str(log))
    quiet(logger)
    logger.info("a detail")
    logger.warning("the disk is slow")
    logger.error("the disk is gone")
    logger.warning('"FileClient" will be deprecated in future')
    shown = capsys.readouterr().out
    assert shown.splitlines() == ["warning: the disk is slow", "error: the disk is gone"]
    written = log.read_text()
    for text in ("a detail", "the disk is slow", "FileClient"):
        assert text in written


def test_what_is_quieter_already_stays_so(capsys):
    logger = MMLogger("quieter test", log_level="ERROR")
    quiet(logger)
    logger.warning("of another process")
    assert capsys.readouterr().out == ""


def test_a_config_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    runner = object.__new__(WholeConfigRunner)
    (tmp_path / "tiny.py").write_text("a = 1")
    runner.cfg = Config.fromfile(tmp_path / "tiny.py")
    runner._work_dir = str(tmp_path / "run")
    (tmp_path / "run").mkdir()

    def write_half(path, text, **_):
        with path.open("w") as file:
            file.write(text[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "write_text", write_half)
        runner.dump_config()
    assert list((tmp_path / "run").iterdir()) == []
    runner.dump_config()
    assert Config.fromfile(tmp_path / "run" / "tiny.py").a == 1
