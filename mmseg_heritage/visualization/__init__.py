"""Pictures of predictions. Needs numpy, OpenCV and Pillow only."""
