"""A base image without a registry: a Debian or Ubuntu host's own packages, as a tar the daemon can import.

The files are those that dpkg lists for the wanted packages and their dependencies. What packages the host lacks, apt
downloads and their files are taken from the downloads; nothing is installed. What only a package's maintainer script
would make (users, links to alternatives, PAM's configuration) is written here. The same packages give the same tar.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from pytest_agenteval.sandbox.images import apt
from pytest_agenteval.sandbox.images.dpkg import MissingPackages, Package, closure, installed, package, read_alternative

__all__ = ["CHANGES", "WANTED", "Host", "NoHostImage", "write_tar"]

WANTED = (
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils", "grep"),
    *("gzip", "hostname", "libc-bin", "awk", "ncurses-base", "sed", "tar", "util-linux", "login", "passwd"),
    *("procps", "python3", "git"),
)
"""The packages of the image, beside those they depend on."""

CHANGES = (
    "USER agent",
    "WORKDIR /home/agent",
    "ENV LANG=C.UTF-8",
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'CMD ["bash"]',
)
"""What the image says about itself, as instructions of a Dockerfile."""

_TIME = 1_700_000_000  # one time for every file, so that the tar depends on the packages alone
# Links to their like under /usr, as on every present Debian:
_MERGED = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")
_NEEDLESS = re.compile(r"^usr/share/(doc|man|locale|info|lintian|bug)/|(^|/)__pycache__(/|$)")
_FOLDERS = {
    **dict.fromkeys(("dev", "etc", "home", "proc", "run", "sys", "usr", "var"), 0o755),
    **dict.fromkeys(("tmp", "var/tmp", "run/lock"), 0o1777),
    "root": 0o700,
}
_TEXTS = {
    "etc/gitconfig": "[user]\n\tname = agent\n\temail = agent@localhost\n[init]\n\tdefaultBranch = main\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "etc/pam.d/common-account": "account required pam_unix.so\n",
    "etc/pam.d/common-auth": "auth required pam_unix.so nullok\n",
    "etc/pam.d/common-password": "password required pam_unix.so yescrypt\n",
    "etc/pam.d/common-session": "session required pam_unix.so\n",
    "etc/pam.d/common-session-noninteractive": "session required pam_unix.so\n",
}
_OURS = {*_FOLDERS, *_TEXTS, *(f"usr/{name}" for name in _MERGED), "etc/passwd", "etc/group", "etc/shadow", "", "."}


class NoHostImage(Exception):
    """This host cannot give an image; the message says why and what would help."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where the packages are."""

    root: Path = Path("/")
    status: Path = Path("/var/lib/dpkg/status")
    """dpkg's status file: which packages are installed."""


@dataclass(frozen=True, slots=True)
class _Entry:
    info: tarfile.TarInfo
    open: Callable[[], IO[bytes]] | None = None


_Entries = dict[str, _Entry]
"""What is to be at each path of the image, written without the leading slash."""


def write_tar(target: Path, host: Host | None = None, *, also: Sequence[str] = (), without: Sequence[str] = ()) -> str:
    """Write the image's files to `target`; returns the packages' architecture by Debian's name (`amd64`, ...).

    The image has the packages `WANTED` and `also`, and all they depend on, except those `without` which it is to do.
    Raises `NoHostImage` where the host is no Debian or Ubuntu, or lacks packages that apt does not give.
    """
    host, wanted = host or Host(), (*WANTED, *also)
    if not host.status.is_file():
        raise NoHostImage("this host has no Debian packages")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agenteval-packages-")))
        text = "\n\n".join((host.status.read_text("utf-8", "replace").rstrip(), *map(_stand_in, without))) + "\n"
        status = scratch / "status"
        status.write_text(text, "utf-8")
        packages = installed(text)
        try:
            downloads = _download_missing(packages, also, status, scratch)
            packages |= {name: package(apt.control(deb)) for name, deb in downloads.items()}
            names = [name for name in closure(packages, wanted) if name not in without]
            entries: _Entries = {}
            for name in names:
                deb = downloads.get(name)
                entries |= _from_host(packages[name], host) if deb is None else _from_download(deb, stack)
        except MissingPackages as missing:
            raise _lacks(missing.names, also, "apt did not give them") from None
        entries |= _alternatives(host, entries)
        entries |= _made(entries)
        with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as out:
            for _, entry in sorted(entries.items()):
                with entry.open() if entry.open else nullcontext() as content:
                    out.addfile(entry.info, content)
    return next(packages[name].architecture for name in names if packages[name].architecture != "all")


def _stand_in(name: str) -> str:
    """What dpkg's status file says of an installed package that needs nothing."""
    return f"Package: {name}\nStatus: install ok installed\nVersion: 99:0\nArchitecture: all"


def _download_missing(
    packages: Mapping[str, Package], also: Sequence[str], status: Path, scratch: Path
) -> dict[str, Path]:
    """The package files, by name, for what is wanted and not installed."""
    try:
        closure(packages, (*WANTED, *also))
    except MissingPackages as missing:
        try:
            return apt.download(missing.names, status=status, folder=scratch)
        except apt.AptFailed as error:
            raise _lacks(missing.names, also, str(error)) from error
    return {}


def _lacks(names: Iterable[str], also: Sequence[str], why: str) -> NoHostImage:
    todo = " ".join(("python3", "git", "procps", *also))
    return NoHostImage(f"this host lacks {', '.join(names)} ({why}): run `apt-get install {todo}` on it")


def _inside(path: str) -> str:
    """A package's path as the image has it: without the leading slash, and with /bin and its like under /usr."""
    name = path.removeprefix(".").strip("/")
    return f"usr/{name}" if name.split("/", 1)[0] in _MERGED else name


def _wanted(name: str) -> bool:
    return name not in _OURS and not _NEEDLESS.search(name)


def _info(name: str, kind: bytes, mode: int, uid: int = 0, gid: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid, info.mtime = kind, mode, uid, gid, _TIME
    return info


def _from_host(source: Package, host: Host) -> _Entries:
    """The package's files as they are on the host, without the configuration files that were edited there."""
    edited = {path for path, shipped in source.conffiles if _md5(host.root / path.lstrip("/")) != shipped}
    lists = host.root / "var/lib/dpkg/info"
    entries: _Entries = {}
    for each in (lists / f"{source.name}.list", lists / f"{source.name}:{source.architecture}.list"):
        for path in each.read_text("utf-8").splitlines() if each.is_file() else ():
            name = _inside(path)
            if _wanted(name) and path not in edited:
                entry = _host_entry(name, host.root / path.lstrip("/"))
                entries |= {name: entry} if entry else {}
    return entries


def _host_entry(name: str, source: Path) -> _Entry | None:
    try:
        found = source.lstat()
    except OSError:
        return None  # left out when the package was installed (dpkg's path-exclude), or removed since
    info = _info(name, tarfile.DIRTYPE, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
    if stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(source.readlink())
    elif stat.S_ISREG(found.st_mode) and os.access(source, os.R_OK):
        info.type, info.size = tarfile.REGTYPE, found.st_size
        return _Entry(info, lambda: source.open("rb"))
    elif not stat.S_ISDIR(found.st_mode):
        return None
    return _Entry(info)


def _md5(path: Path) -> str | None:
    try:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return None


def _from_download(deb: Path, stack: ExitStack) -> _Entries:
    """The files of a downloaded package; its archive stays open as long as `stack`."""
    archive = stack.enter_context(tarfile.open(apt.files(deb)))  # noqa: SIM115 (the stack closes it)
    entries: _Entries = {}
    for member in archive:
        name = _inside(member.name)
        if not _wanted(name):
            continue
        info = _info(name, member.type, member.mode, member.uid, member.gid)
        if member.isreg() or member.islnk():  # a hard link becomes a copy
            original = archive.getmember(member.linkname) if member.islnk() else member
            info.type, info.size = tarfile.REGTYPE, original.size
            entries[name] = _Entry(info, partial(_content, archive, original))
        elif member.isdir() or member.issym():
            info.linkname = member.linkname
            entries[name] = _Entry(info)
    return entries


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None  # it is a regular file
    return content


def _alternatives(host: Host, entries: _Entries) -> _Entries:
    """The links that update-alternatives would make among the image's own files."""
    present = {f"/{name}" for name in entries} | {f"/{name[4:]}" for name in entries if name.startswith("usr/")}
    links: _Entries = {}
    for file in sorted((host.root / "var/lib/dpkg/alternatives").glob("*")):
        found = read_alternative(file.name, file.read_text("utf-8", "replace"))
        for name, link, target in found.targets(present) if found else ():
            links |= _link(f"etc/alternatives/{name}", target) | _link(_inside(link), f"/etc/alternatives/{name}")
    return {name: entry for name, entry in links.items() if _wanted(name)}


def _link(name: str, target: str) -> _Entries:
    info = _info(name, tarfile.SYMTYPE, 0o777)
    info.linkname = target
    return {name: _Entry(info)}


def _text(name: str, text: str, mode: int = 0o644, gid: int = 0) -> _Entries:
    info = _info(name, tarfile.REGTYPE, mode, gid=gid)
    info.size = len(text.encode())
    return {name: _Entry(info, partial(io.BytesIO, text.encode()))}


def _made(entries: _Entries) -> _Entries:
    """What the packages' own scripts would make: folders, links for /bin and its like, the users, PAM."""
    made = {name: _Entry(_info(name, tarfile.DIRTYPE, mode)) for name, mode in _FOLDERS.items()}
    made["home/agent"] = _Entry(_info("home/agent", tarfile.DIRTYPE, 0o755, 1000, 1000))
    for name in _MERGED:
        if any(path.startswith(f"usr/{name}/") for path in entries):
            made[f"usr/{name}"] = _Entry(_info(f"usr/{name}", tarfile.DIRTYPE, 0o755))
            made |= _link(name, f"usr/{name}")
    users, groups = (_read(entries, f"usr/share/base-passwd/{name}.master") for name in ("passwd", "group"))
    users = re.sub(r"^root:\*:(.*):/bin/sh$", r"root:*:\1:/bin/bash", users, flags=re.MULTILINE)
    made |= _text("etc/passwd", users.replace(":*:", ":x:") + "agent:x:1000:1000:agent:/home/agent:/bin/bash\n")
    made |= _text("etc/group", groups + "agent:x:1000:\n")
    names = [line.split(":", 1)[0] for line in users.splitlines()]
    made |= _text("etc/shadow", "".join(f"{name}:*:19675:0:99999:7:::\n" for name in (*names, "agent")), 0o640, 42)
    for name, text in _TEXTS.items():
        made |= _text(name, text)
    return made


def _read(entries: _Entries, name: str) -> str:
    entry = entries.get(name)
    if entry is None or entry.open is None:
        raise NoHostImage(f"this host lacks the file /{name} of the package base-passwd: reinstall that package")
    with entry.open() as content:
        return content.read().decode()
