"""Reviewing predictions: a page that needs no server, its review.json, and what that changes.

Needs neither torch nor mmseg. The form of review.json: docs/reference/review-format.md.
"""
