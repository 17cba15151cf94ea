"""From records to numbers: pass rates, intervals, comparisons, and which attempts can still change a verdict.

Pure: numbers in, numbers out, with numpy and the standard library. Verdicts belong to `judge`.
"""
