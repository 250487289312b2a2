"""From the scores of a network to probabilities and maps: of numpy's arrays or torch's tensors.

Importing it loads no torch, so that a network in another runtime is applied by the same code.
"""
