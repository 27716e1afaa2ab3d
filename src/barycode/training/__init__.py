"""Reading data, training loops, checkpoints."""
