"""Vector quantization: the nearest code vector, of a codebook that is learned in various forms."""
