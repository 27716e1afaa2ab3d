"""Soft Convex Quantization: the best convex combination, and the sparse codes that a file can hold."""
