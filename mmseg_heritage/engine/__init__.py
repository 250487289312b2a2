"""What drives a run: launch, mixed precision, checkpoints, hooks."""

from mmseg_heritage.engine import csv_vis_backend, hooks, loops, optim

__all__ = ["csv_vis_backend", "hooks", "loops", "optim"]
