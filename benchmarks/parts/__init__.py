"""What is compared; each function makes the inputs of one comparison."""
