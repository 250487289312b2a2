"""Warnings reach the console in plain words; the log file gets everything as it was."""

from __future__ import annotations

from mmengine.logging import MMLogger

from mmseg_heritage.engine.quiet_runner import quiet


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
