"""The models of a run: opened and checked, each call metered and paid, and its errors attributed.

Nothing here knows what an agent does with the answers.
"""
