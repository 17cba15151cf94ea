from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_agenteval.sandbox.images import host_image
from pytest_agenteval.sandbox.images.dpkg import MissingPackages, Package, closure, installed, package, read_alternative
from pytest_agenteval.sandbox.images.host_image import Host, NoHostImage, write_tar

STATUS = """\
Package: dpkg
Status: install ok installed
Architecture: arm64

Package: tool
Status: install ok installed
Architecture: arm64
Pre-Depends: libc6 (>= 2.34)
Depends: python3:any (>= 3.8) | python2, mail-transport,
 libc6
Provides: helper (= 1.0), other
Conffiles:
 /etc/tool.conf 0123456789abcdef0123456789abcdef
 /etc/old.conf 0123456789abcdef0123456789abcdef obsolete

Package: gone
Status: deinstall ok config-files
Architecture: arm64

Package: libc6
Status: hold ok installed
Architecture: armhf

Package: data
Status: install ok installed
Architecture: all
"""


def of(name: str, *depends: tuple[str, ...], provides: tuple[str, ...] = ()) -> Package:
    return Package(name, "amd64", depends, provides)


def named(*packages: Package) -> Mapping[str, Package]:
    return {each.name: each for each in packages}


def test_installed_packages_are_those_of_dpkgs_own_architecture() -> None:
    assert sorted(installed(STATUS)) == ["data", "dpkg", "tool"]


def test_relations_are_read_without_versions_and_architectures() -> None:
    tool = installed(STATUS)["tool"]
    assert tool.depends == (("libc6",), ("python3", "python2"), ("mail-transport",), ("libc6",))
    assert tool.provides == ("helper", "other")
    assert [path for path, _ in tool.conffiles] == ["/etc/tool.conf", "/etc/old.conf"]


def test_a_downloads_control_fields_are_a_package() -> None:
    assert package("Package: a\nVersion: 1\nArchitecture: amd64\nDepends: b\n") == of("a", ("b",))


def test_closure_follows_dependencies_and_cycles() -> None:
    packages = named(of("a", ("b",)), of("b", ("c",)), of("c", ("a",)), of("d"))
    assert closure(packages, ["a"]) == ("a", "b", "c")


def test_closure_takes_what_is_installed_of_a_choice() -> None:
    assert closure(named(of("a", ("b", "c")), of("c")), ["a"]) == ("a", "c")


def test_closure_prefers_a_package_to_one_that_provides_it() -> None:
    packages = named(
        of("mawk", provides=("awk",)), of("gawk", provides=("awk",)), of("a", ("awk",)), of("b", ("x", "mawk"))
    )
    assert closure(packages, ["a"]) == ("a", "gawk")
    assert closure(packages, ["b"]) == ("b", "mawk")


def test_closure_names_all_that_is_missing() -> None:
    with pytest.raises(MissingPackages) as missing:
        closure(named(of("a", ("b", "c"))), ["a", "git"])
    assert missing.value.names == ("b", "git")


AWK = """\
manual
/usr/bin/awk
awk.1.gz
/usr/share/man/man1/awk.1.gz

/usr/bin/gawk
10
/man/gawk
/usr/bin/mawk
5


"""


@pytest.mark.parametrize(
    ("present", "targets"),
    [
        ({"/usr/bin/mawk"}, (("awk", "/usr/bin/awk", "/usr/bin/mawk"),)),
        (
            {"/usr/bin/mawk", "/usr/bin/gawk", "/man/gawk"},
            (("awk", "/usr/bin/awk", "/usr/bin/gawk"), ("awk.1.gz", "/usr/share/man/man1/awk.1.gz", "/man/gawk")),
        ),
        ({"/usr/bin/busybox"}, ()),
    ],
)
def test_alternative_of_highest_priority_among_the_files_present(
    present: set[str], targets: tuple[tuple[str, str, str], ...]
) -> None:
    alternative = read_alternative("awk", AWK)
    assert alternative is not None
    assert alternative.targets(present) == targets


@pytest.mark.parametrize("text", ["", "auto", "auto\n/usr/bin/x\n\n/usr/bin/y\nmany\n\n"])
def test_a_malformed_alternative_is_none(text: str) -> None:
    assert read_alternative("x", text) is None


class FakeHost:
    """A host's root folder with packages and their files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = Host(root, root / "var/lib/dpkg/status")
        self._paragraphs: list[str] = []
        (root / "var/lib/dpkg/info").mkdir(parents=True)
        (root / "var/lib/dpkg/alternatives").mkdir()

    def install(self, name: str, files: Mapping[str, str], conffiles: Mapping[str, str] | None = None) -> None:
        """`conffiles`: path -> the text it was shipped with."""
        lines = ["/."]
        for path, text in files.items():
            file = self.root / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            lines += [str(parent) for parent in reversed(Path(path).parents) if str(parent) != "/"] + [path]
        (self.root / f"var/lib/dpkg/info/{name}.list").write_text("\n".join(lines) + "\n")
        shipped = "".join(
            f"\n {path} {hashlib.md5(text.encode()).hexdigest()}" for path, text in (conffiles or {}).items()
        )
        self._paragraphs.append(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
            + (f"Conffiles:{shipped}\n" if shipped else "")
        )
        self.host.status.write_text("\n".join(self._paragraphs))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(host_image, "WANTED", ("base-passwd", "bash"))
    fake = FakeHost(tmp_path / "root")
    masters = {"passwd": "root:*:0:0:root:/root:/bin/sh\n", "group": "root:*:0:\n"}
    fake.install("dpkg", {})
    fake.install("base-passwd", {f"/usr/share/base-passwd/{name}.master": text for name, text in masters.items()})
    (fake.root / "bin").mkdir()
    return fake


def members(fake: FakeHost, target: Path) -> dict[str, tarfile.TarInfo]:
    write_tar(target, fake.host)
    with tarfile.open(target) as tar:
        return {member.name: member for member in tar}


def content(target: Path, name: str) -> str:
    with tarfile.open(target) as tar:
        file = tar.extractfile(name)
        assert file is not None
        with file:
            return file.read().decode()


def test_files_below_bin_and_its_like_are_put_below_usr(fake: FakeHost, tmp_path: Path) -> None:
    fake.install("bash", {"/bin/bash": "#!", "/lib/x/libc.so": "so"})
    found = members(fake, tmp_path / "t.tar")
    assert found["usr/bin/bash"].isreg()
    assert found["usr/lib/x/libc.so"].isreg()
    assert found["usr/bin"].isdir()
    assert (found["bin"].issym(), found["bin"].linkname) == (True, "usr/bin")
    assert "sbin" not in found


def test_only_files_of_wanted_packages_are_taken(fake: FakeHost, tmp_path: Path) -> None:
    fake.install("bash", {"/bin/bash": "#!", "/usr/share/doc/bash/README": "", "/usr/lib/p/__pycache__/m.pyc": ""})
    fake.install("secrets", {"/etc/secret": "x"})
    (fake.root / "etc/own").write_text("x")
    found = members(fake, tmp_path / "t.tar")
    assert not {"etc/secret", "etc/own", "usr/share/doc/bash/README", "usr/lib/p/__pycache__/m.pyc"} & set(found)


def test_configuration_edited_on_the_host_stays_there(fake: FakeHost, tmp_path: Path) -> None:
    fake.install(
        "bash",
        {"/bin/bash": "#!", "/etc/bash.bashrc": "export TOKEN=secret", "/etc/profile": "umask 22"},
        conffiles={"/etc/bash.bashrc": "# as shipped", "/etc/profile": "umask 22"},
    )
    found = members(fake, tmp_path / "t.tar")
    assert "etc/bash.bashrc" not in found
    assert "etc/profile" in found


def test_a_listed_file_that_is_not_there_is_left_out(fake: FakeHost, tmp_path: Path) -> None:
    fake.install("bash", {"/bin/bash": "#!", "/usr/lib/excluded": ""})
    (fake.root / "usr/lib/excluded").unlink()
    assert "usr/lib/excluded" not in members(fake, tmp_path / "t.tar")


def test_the_agent_is_a_user_with_a_home(fake: FakeHost, tmp_path: Path) -> None:
    fake.install("bash", {"/bin/bash": "#!"})
    target = tmp_path / "t.tar"
    home = members(fake, target)["home/agent"]
    assert (home.isdir(), home.uid, home.gid, home.mode) == (True, 1000, 1000, 0o755)
    assert content(target, "etc/passwd").splitlines() == [
        "root:x:0:0:root:/root:/bin/bash",
        "agent:x:1000:1000:agent:/home/agent:/bin/bash",
    ]


def test_the_hosts_own_choice_of_an_alternative_does_not_matter(fake: FakeHost, tmp_path: Path) -> None:
    fake.install("bash", {"/bin/bash": "#!", "/usr/bin/mawk": "#!"})
    (fake.root / "var/lib/dpkg/alternatives/awk").write_text(AWK)
    found = members(fake, tmp_path / "t.tar")
    assert found["usr/bin/awk"].linkname == "/etc/alternatives/awk"
    assert found["etc/alternatives/awk"].linkname == "/usr/bin/mawk"


def test_the_same_packages_give_the_same_tar(fake: FakeHost, tmp_path: Path) -> None:
    fake.install("bash", {"/bin/bash": "#!"})
    write_tar(tmp_path / "1.tar", fake.host)
    os.utime(fake.root / "bin/bash", (0, 0))
    write_tar(tmp_path / "2.tar", fake.host)
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_the_architecture_is_told(fake: FakeHost, tmp_path: Path) -> None:
    fake.install("bash", {"/bin/bash": "#!"})
    assert write_tar(tmp_path / "t.tar", fake.host) == "amd64"


def test_another_distribution_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoHostImage, match="no Debian packages"):
        write_tar(tmp_path / "t.tar", Host(tmp_path, tmp_path / "status"))


def test_what_is_missing_and_cannot_be_downloaded_is_named(
    fake: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoHostImage, match=r"lacks bash .*apt-get install python3 git procps"):
        write_tar(tmp_path / "t.tar", fake.host)
