"""Quantizers whose codebook is a fixed grid of scalar levels."""
