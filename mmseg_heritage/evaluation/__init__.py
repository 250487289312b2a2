"""Scores: pure functions on integer counts, and the metric built on them.

Nothing is imported here, and nothing but :mod:`.metric` needs torch, so that scores can be read and
compared without loading it. :mod:`.metric`, which mmengine's loops call, is registered by
:mod:`mmseg_heritage.plugin`. What is written: :mod:`.store` and :mod:`.summary`; every definition:
``docs/reference/metrics.md``.
"""
