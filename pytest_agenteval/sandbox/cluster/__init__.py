"""Sandboxes as pods of a Kubernetes cluster. The only folder that speaks to one.

A pod is an attempt's machine, as a container is on Docker's daemon; the exec server and its channel are the same.
"""
