"""Everything decided before the first attempt: prices, sandboxes, identities, stored attempts to reuse, the grid.

Everything that can be refused is refused here, before money is spent. Nothing here runs an attempt.
"""
