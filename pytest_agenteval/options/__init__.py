"""The options that the user gave: their table, their values, and the checked `Settings`.

pytest loads this folder at every start, so it may import only pytest and the standard library. What an option means for
attempts belongs to the step that uses it.
"""
