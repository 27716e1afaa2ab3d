"""Convolutional autoencoders with a quantizer in the middle: networks, training, and bytes of their codes."""
