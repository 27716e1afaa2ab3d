"""Calibration: what a few hundred unlabelled inputs say about which errors of weights a network feels.

calibration = calibrate(model, inputs)
data = barycode.weights.compress(model.state_dict(), target, calibration=calibration)
"""

from barycode.weights.calibration.collect import calibrate
from barycode.weights.calibration.statistics import Calibration, LayerStatistics

__all__ = ["Calibration", "LayerStatistics", "calibrate"]
