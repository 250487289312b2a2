"""Runners that write their config whole, and one whose details go to its log file alone."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.files import replacing

_NOT_SHOWN = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')
"""Beginnings of warnings of mmengine about itself; they go to the log file only."""


class _PlainFormatter(logging.Formatter):
    """Writes ``warning: TEXT`` in place of time, name and level."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"


def _is_shown(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_NOT_SHOWN)


def quiet(logger: logging.Logger) -> None:
    """Lets a logger of mmengine show warnings only, without changing what it writes to files."""
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setLevel(max(handler.level, logging.WARNING))
            handler.setFormatter(_PlainFormatter())
            handler.addFilter(_is_shown)


class WholeConfigRunner(Runner):
    """A Runner whose config is written whole or not at all, however it ends."""

    def dump_config(self) -> None:
        """Writes the config into the run's folder, as Runner does."""
        name = Path(self.cfg.filename or f"{self.timestamp}.py").name
        if not name.endswith(".py"):
            super().dump_config()
        elif is_main_process():
            with replacing(Path(self.work_dir) / name) as temporary:
                temporary.write_text(self.cfg.pretty_text, encoding="utf-8")


class QuietRunner(WholeConfigRunner):
    """A Runner that writes details to its log file only."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger as Runner does, and quiets it."""
        logger = super().build_logger(*args, **kwargs)
        quiet(logger)
        return logger

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Loads weights as Runner does, which also prints the path that it logs."""
        with contextlib.redirect_stdout(io.StringIO()):
            return super().load_checkpoint(*args, **kwargs)
