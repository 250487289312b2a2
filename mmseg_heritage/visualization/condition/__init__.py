"""Condition records: what was found on an object, as a document to print, complete and sign."""
