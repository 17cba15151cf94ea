"""The models of a run: opened and checked, each call metered and paid, its faults told apart.

Nothing here knows what an agent does with the answers.
"""
