"""Commands that make a new checkpoint of a trained one."""
