"""Configs: files, short variables, what they contradict, what a checkpoint holds of them."""
