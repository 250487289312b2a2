"""What makes a trained model better or more honest with a few more images: calibrate, learn."""
