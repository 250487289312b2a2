"""What is installed here, what will work, and what fixes the rest.

Nothing in here imports more than Python itself : it must answer where torch
or mmseg are missing or broken.
"""
