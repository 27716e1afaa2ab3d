"""Numbers to integers and back: trellis, uniform grid, code vectors, rounding."""
