"""Quantizers made of quantizers: stages and groups."""
