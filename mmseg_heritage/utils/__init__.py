"""Small parts that every folder uses, one of each: files, text, progress, processes."""
