"""The formulas, each with its source: estimators, intervals, tests, power.

Pure functions of counts; records are unknown here.
"""
