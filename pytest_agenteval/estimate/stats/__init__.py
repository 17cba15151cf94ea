"""The formulas, each with its source: estimators, intervals, tests, power.

Pure functions of counts, which know nothing about records.
"""
