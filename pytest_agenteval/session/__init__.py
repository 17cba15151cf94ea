"""The pytest hooks that drive the steps, from an item that pytest reaches to the exit status.

Only `plugin.py` imports it. What a step does belongs to the step's own folder.
"""
