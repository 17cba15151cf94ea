"""The package's own images: what is in them beside the base that all have in common."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUILT_IN", "BuiltIn"]


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """An image whose Dockerfile is in `sandboxes/`; here is how to make the same from a Debian host's packages."""

    name: str
    packages: tuple[str, ...] = ()
    """Debian packages beside those that every image has."""
    without: tuple[str, ...] = ()
    """Packages that others depend on and the image does without."""
    finish: str = ""
    """A shell script that root runs in the image: what packages' own scripts would do, and a try of what is in it."""


_LIBRARIES = """
for library in blas lapack; do
    for file in /usr/lib/*/$library/lib$library.so.3; do ln -sf "$file" "${file%/*/*}/lib$library.so.3"; done
done
ldconfig
"""
_TRY = """
MPLBACKEND=Agg MPLCONFIGDIR=/tmp/matplotlib python3 -c '
import numpy, pandas, scipy.stats, scipy.optimize
import matplotlib.pyplot as pyplot
pyplot.plot(numpy.linalg.inv(numpy.eye(2)))
pyplot.savefig("/tmp/plot.png")
pandas.DataFrame({"a": [1]}).describe()
'
rm -r /tmp/plot.png /tmp/matplotlib
"""

BUILT_IN = {
    "default": BuiltIn("default"),
    "python": BuiltIn(
        "python",
        packages=("python3-numpy", "python3-pandas", "python3-scipy", "python3-matplotlib"),
        # what compiles Python, and what draws into windows: half a gigabyte with all it brings along
        without=("python3-pythran", "python3-sympy", "python3-tk", "python3-pil.imagetk", "libjs-jquery-ui"),
        finish=_LIBRARIES + _TRY,
    ),
}
"""By name."""
