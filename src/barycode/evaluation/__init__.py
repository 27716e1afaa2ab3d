"""Metrics, anchors, rate-distortion rows, BD-rates and the reports made of them."""
