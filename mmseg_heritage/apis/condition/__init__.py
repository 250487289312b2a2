"""Documents on the condition of an object: the record, and what has changed since."""
