"""The modules of the exec server, which run inside the container: `exec_server.py` sends them, nothing imports them.

They need Python 3.8 and modules of its core only (also of Debian's `python3-minimal`), so no `typing` at run time.
"""
