"""The pytest hooks that drive the steps, from an item that is reached to the exit status.

Only `plugin.py` imports it. What a step does belongs to the step's own folder.
"""
