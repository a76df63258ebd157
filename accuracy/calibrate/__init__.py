"""Calibration: a target whose faults are known to the microsecond, measured by the real load, samplers and judge.

Judging does not belong here: every measured figure is read from the judge's findings.
"""
