"""What all quantizers share: the interface, the result, points of the simplex, gradient estimators."""
