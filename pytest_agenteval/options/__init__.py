"""The options that the user gave: their table, their values, and the checked `Settings`.

pytest loads `table` at every start, so only pytest and the standard library may be imported here. What an option
means for attempts belongs to the step that uses it.
"""
