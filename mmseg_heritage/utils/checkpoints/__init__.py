"""Reading checkpoints of strangers without running code from them."""
