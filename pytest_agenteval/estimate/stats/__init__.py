"""The formulas, each with its source: estimators, intervals, tests, power.

Pure functions of counts, which know nothing about records. All raise ValueError for what makes no sense: impossible
counts, a k below 1, a rate, threshold, confidence or alpha out of its range. The message says what to give instead.
"""
