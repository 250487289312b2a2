"""What surrounds every command: its arguments are checked, and its end is said in one line."""
