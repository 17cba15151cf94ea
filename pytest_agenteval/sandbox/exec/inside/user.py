"""Becomes another user and then another program: `exec` in a pod cannot choose a user, so it starts this as root.

Arguments: the user (a name or number, with an optional group), and the words of the program.
"""

# Plain `os`: fewer modules to load, so a command starts faster.

from __future__ import annotations

import grp
import os
import pwd
import sys

__all__ = ["become"]


def become(wanted: str) -> dict[str, str]:
    """Become the user; returns the environment of a program of theirs."""
    name, _, group = wanted.partition(":")
    try:
        entry = pwd.getpwnam(name) if not name.isdigit() else pwd.getpwuid(int(name))
    except KeyError:
        entry = None
    if entry is None and not name.isdigit():
        sys.exit("unable to find user " + name + ": no matching entries in passwd file")
    uid, gid, home = (entry.pw_uid, entry.pw_gid, entry.pw_dir) if entry is not None else (int(name), 0, "/")
    if group:
        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    groups = os.getgrouplist(entry.pw_name, gid) if entry is not None else [gid]
    env = dict(os.environ)
    env.pop("LC_CTYPE", None)  # the interpreter's own (PEP 538)
    if env.get("HOME") in (None, "/root"):  # which the runtime set for root
        env["HOME"] = home
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)
    return env


if __name__ == "__main__":
    os.execvpe(sys.argv[2], sys.argv[2:], become(sys.argv[1]))
