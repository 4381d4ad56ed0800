"""From a bundle in float32 to one in int8: quantize, compare with float32, calibrate anew, publish."""
