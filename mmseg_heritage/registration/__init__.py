"""Two photographs of one object brought into register, and what has changed between their maps.

Places are those of OpenCV: (x, y), the center of the first pixel is (0, 0).
"""
