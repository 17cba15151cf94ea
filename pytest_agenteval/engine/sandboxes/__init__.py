"""Our sandboxes as Inspect's provider, and the place that an attempt gets.

Containers themselves belong to the folder `sandbox`, which knows nothing of Inspect.
"""
