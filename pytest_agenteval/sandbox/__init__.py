"""Sandboxes: where an agent works. Images, the daemon they live in, and who ended a container."""
