"""Readings of meters in a CSV file, with two units. What is right is summed from the numbers, never from the file."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_agenteval.builder.families.family import Deck, Part, PartsFamily

__all__ = ["TABLES"]

_SITES = ("Harbour", "Mill", "Depot", "Quarry", "Station", "Tower", "Bridge", "Market")
_WH = '($3 == "kWh" ? 1000 : 1)'


@dataclass(frozen=True, slots=True)
class _Reading:
    site: str
    amount: int
    unit: str

    @property
    def wh(self) -> int:
        return self.amount * (1000 if self.unit == "kWh" else 1)


def _deal(rng: random.Random, steps: int) -> Deck:
    sites = rng.sample(_SITES, 4)
    readings = [_Reading(site, amount, "kWh") for site, amount in zip(sites, rng.sample(range(1, 10), 4), strict=True)]
    readings += [_Reading(rng.choice(sites), amount, "Wh") for amount in rng.sample(range(11, 950), rng.randint(7, 11))]
    readings += [_Reading(rng.choice(sites), amount, "kWh") for amount in rng.sample(range(10, 40), rng.randint(2, 4))]
    rng.shuffle(readings)
    if _ties(sites, readings):
        return _deal(rng, steps)
    makers: list[Callable[[random.Random, Sequence[str], Sequence[_Reading]], Part]] = [_sums, *rng.sample(_MORE, 6)]
    return Deck(
        title="Readings of meters in two units",
        intro="readings.csv has meter readings, a line each under the header `site,amount,unit`; units are kWh and Wh "
        "(1 kWh is 1000 Wh). Leave readings.csv as it is.",
        parts=[make(rng, sites, readings) for make in makers[:steps]],
        files={"readings.csv": "site,amount,unit\n" + "".join(f"{r.site},{r.amount},{r.unit}\n" for r in readings)},
        checks=[{"kind": "unchanged", "path": "readings.csv"}],
    )


def _ties(sites: Sequence[str], readings: Sequence[_Reading]) -> bool:
    """Whether an order by the sums, in Wh or with the units ignored, would leave a choice."""
    return any(len({of(site, readings) for site in sites}) < len(sites) for of in (_wh_of, _mixed_of))


def _wh_of(site: str, readings: Sequence[_Reading]) -> int:
    return sum(r.wh for r in readings if r.site == site)


def _mixed_of(site: str, readings: Sequence[_Reading]) -> int:
    return sum(r.amount for r in readings if r.site == site)


def _count_of(site: str, readings: Sequence[_Reading]) -> int:
    return sum(r.site == site for r in readings)


def _python(body: str) -> str:
    return f"python3 - <<'END'\nimport csv\nrows = list(csv.DictReader(open('readings.csv')))\n{body}\nEND"


_PY_WH = "int(r['amount']) * (1000 if r['unit'] == 'kWh' else 1)"


def _sums(rng: random.Random, sites: Sequence[str], readings: Sequence[_Reading]) -> Part:
    sums = {site: _wh_of(site, readings) for site in sites}
    right = "".join(f"{site},{sums[site]}\n" for site in sorted(sums, key=lambda site: -sums[site]))
    awk = f"awk -F, 'NR > 1 {{ sum[$1] += $2 * {_WH} }} END {{ for (s in sum) print s \",\" sum[s] }}' readings.csv"
    plain = awk.replace(f" * {_WH}", "")
    return Part(
        "Write sums.csv without a header: a line `SITE,WH` for each site with its sum in Wh, the highest sum first.",
        f"{awk} | sort -t, -k2,2nr > sums.csv",
        [{"kind": "file-equals", "path": "sums.csv", "text": right}],
        [("ignores the units", f"{plain} | sort -t, -k2,2nr > sums.csv"),
         ("the lowest sum first", f"{awk} | sort -t, -k2,2n > sums.csv")],
        _python(f"s = {{}}\nfor r in rows:\n    s[r['site']] = s.get(r['site'], 0) + {_PY_WH}\n"
                "for k in sorted(s, key=lambda k: -s[k]):\n    print(f'{k},{s[k]}', file=open('sums.csv', 'a'))"),
    )  # fmt: skip


def _counts(rng: random.Random, sites: Sequence[str], readings: Sequence[_Reading]) -> Part:
    right = "".join(f"{site},{_count_of(site, readings)}\n" for site in sorted(sites))
    awk = "awk -F, 'NR > 1 { n[$1]++ } END { for (s in n) print s \",\" n[s] }' readings.csv"
    return Part(
        "Write counts.csv without a header: a line `SITE,COUNT` for each site with the number of its readings, in the "
        "order of the sites' names.",
        f"{awk} | LC_ALL=C sort > counts.csv",
        [{"kind": "file-equals", "path": "counts.csv", "text": right}],
        [("counts the header, too", f"{awk.replace('NR > 1 ', '')} | LC_ALL=C sort > counts.csv"),
         ("the other way round", f"{awk} | LC_ALL=C sort -r > counts.csv")],
        _python("n = {}\nfor r in rows:\n    n[r['site']] = n.get(r['site'], 0) + 1\n"
                "open('counts.csv', 'w').write(''.join(f'{k},{n[k]}\\n' for k in sorted(n)))"),
    )  # fmt: skip


def _total(rng: random.Random, sites: Sequence[str], readings: Sequence[_Reading]) -> Part:
    awk = f"awk -F, 'NR > 1 {{ sum += $2 * {_WH} }} END {{ print sum }}' readings.csv > total.txt"
    return Part(
        "Write the sum of all readings in Wh to total.txt, as digits only.",
        awk,
        [{"kind": "rows", "path": "total.txt", "rows": [[str(sum(r.wh for r in readings))]]}],
        [("ignores the units", awk.replace(f" * {_WH}", "")),
         ("kWh only", awk.replace("NR > 1", '$3 == "kWh"'))],
        _python(f"print(sum({_PY_WH} for r in rows), file=open('total.txt', 'w'))"),
    )  # fmt: skip


def _highest(rng: random.Random, sites: Sequence[str], readings: Sequence[_Reading]) -> Part:
    best = max(readings, key=lambda r: r.wh)
    awk = f"awk -F, 'NR > 1 {{ w = $2 * {_WH}; if (w > m) {{ m = w; s = $1 }} }} END {{ print s, m }}' readings.csv"
    return Part(
        "Write highest.txt with one line `SITE WH`: the single reading that is the highest, in Wh.",
        f"{awk} > highest.txt",
        [{"kind": "rows", "path": "highest.txt", "rows": [[best.site, str(best.wh)]]}],
        [("in its own unit", f"{awk.replace(f'w = $2 * {_WH}', 'w = $2')} > highest.txt"),
         ("the site alone", f"{awk.replace('print s, m', 'print s')} > highest.txt")],
        _python(f"r = max(rows, key=lambda r: {_PY_WH})\nprint(r['site'], {_PY_WH}, file=open('highest.txt', 'w'))"),
    )  # fmt: skip


def _above(rng: random.Random, sites: Sequence[str], readings: Sequence[_Reading]) -> Part:
    bound = sorted(r.wh for r in readings)[len(readings) // 2]  # a reading of just so much is not above it
    count = sum(r.wh > bound for r in readings)
    awk = f"awk -F, 'NR > 1 && $2 * {_WH} > {bound} {{ n++ }} END {{ print n + 0 }}' readings.csv > above.txt"
    return Part(
        f"Write to above.txt how many readings are above {bound} Wh; one of just {bound} Wh is not.",
        awk,
        [{"kind": "rows", "path": "above.txt", "rows": [[str(count)]]}],
        [("counts the bound", awk.replace(f"> {bound}", f">= {bound}")),
         ("ignores the units", awk.replace(f" * {_WH}", ""))],
        _python(f"print(sum({_PY_WH} > {bound} for r in rows), file=open('above.txt', 'w'))"),
    )  # fmt: skip


def _one_site(rng: random.Random, sites: Sequence[str], readings: Sequence[_Reading]) -> Part:
    site = rng.choice([site for site in sites if any(r.site == site and r.unit == "Wh" for r in readings)] or sites)
    rows = [[r.unit, str(r.amount)] for r in readings if r.site == site]
    awk = f"awk -F, '$1 == \"{site}\" {{ print $3, $2 }}' readings.csv > site.txt"
    return Part(
        f"Write site.txt: a line `UNIT AMOUNT` for each reading of {site}, in the order of the file.",
        awk,
        [{"kind": "rows", "path": "site.txt", "rows": rows}],
        [("the columns swapped", awk.replace("$3, $2", "$2, $3")),
         ("every other site", awk.replace("==", "!="))],
        _python(f"for r in rows:\n    if r['site'] == '{site}':\n        "
                "print(r['unit'], r['amount'], file=open('site.txt', 'a'))"),
    )  # fmt: skip


def _units(rng: random.Random, sites: Sequence[str], readings: Sequence[_Reading]) -> Part:
    right = [["kWh", str(sum(r.unit == "kWh" for r in readings))], ["Wh", str(sum(r.unit == "Wh" for r in readings))]]
    awk = 'awk -F, \'NR > 1 { n[$3]++ } END { print "kWh", n["kWh"]; print "Wh", n["Wh"] }\' readings.csv'
    return Part(
        "Write units.txt with two lines: `kWh N` and `Wh N`, where N is the number of readings in that unit.",
        f"{awk} > units.txt",
        [{"kind": "rows", "path": "units.txt", "rows": right}],
        [("kWh counts as Wh", "for u in kWh Wh; do echo $u $(grep -c \"$u\\|kWh\" readings.csv); done > units.txt"),
         ("sums instead of numbers", f"{awk.replace('n[$3]++', 'n[$3] += $2')} > units.txt")],
        _python("u = [r['unit'] for r in rows]\nfor x in ('kWh', 'Wh'):\n    "
                "print(x, u.count(x), file=open('units.txt', 'a'))"),
    )  # fmt: skip


_MORE = (_counts, _total, _highest, _above, _one_site, _units)
TABLES = PartsFamily(
    name="tables",
    about="Sum, count and pick rows of a CSV table whose amounts have two units.",
    topics=("table", "tables", "csv", "data", "aggregate", "sum", "spreadsheet", "analysis", "shell", "numbers"),
    deal=_deal,
)
"""The family."""
