"""What drives a run: launch, mixed precision, checkpoints, hooks."""

from mmseg_heritage.engine import csv_vis_backend, hooks, loops, optim
from mmseg_heritage.utils import checkpoint

checkpoint.register_safe_loader()

__all__ = ["checkpoint", "csv_vis_backend", "hooks", "loops", "optim"]
