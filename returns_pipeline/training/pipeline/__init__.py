"""The steps that every recipe goes through: load, fit, calibrate, export, judge, report, publish."""
