"""A codebook and its life: start, updates, health."""
