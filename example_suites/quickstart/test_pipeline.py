import hashlib

from pytest_agenteval import Agent, Sandbox, agent_task

RAW = {
    "raw/april.csv": "meter,hour,amount,unit\nm1,04-01T00,2,kWh\nm2,04-01T00,750,Wh\nm1,04-01T01,1,kWh\n",
    "raw/may.csv": "meter,hour,amount,unit\nm3,05-01T00,1900,Wh\nm1,05-01T00,3,kWh\n",
    "raw/overlap.csv": "meter,hour,amount,unit\nm1,04-01T01,1,kWh\nm3,05-01T00,1900,Wh\nm2,05-01T00,450,Wh\n",
}
DAMAGED = "meter,hour,amount,unit\nm2,05-01T00,99999,kWh\n"

# What each step must have made; the totals were added up by hand.
EXPECTED = {
    "build/intact.txt": "april.csv\nmay.csv\noverlap.csv\n",
    "build/merged.csv": "m1,04-01T00,2,kWh\nm1,04-01T01,1,kWh\nm1,05-01T00,3,kWh\n"
    "m2,04-01T00,750,Wh\nm2,05-01T00,450,Wh\nm3,05-01T00,1900,Wh\n",
    "build/energy.csv": "m1,2000\nm1,1000\nm1,3000\nm2,750\nm2,450\nm3,1900\n",
    "build/totals.csv": "Harbour,6000\nMill,3100\n",
    "VERSION": "1.4.10\n",
    "build/report.txt": "Energy report 1.4.10\nHarbour,6000\nMill,3100\n",
}
ARCHIVE = "report-1.4.10.tar.gz"

PROMPT = """Build a release from the meter readings in raw/, in these steps. Each takes what the ones before it made.
Lines end in a newline, and sorting is by bytes (LC_ALL=C).
1. build/intact.txt: the names of the files whose checksum in raw/SHA256SUMS is right, sorted. Use only these below.
2. build/merged.csv: all their lines without the headers, sorted, repeated lines once.
3. build/energy.csv: for each line of it, in the same order, `METER,WH`, with the amount in Wh (1 kWh is 1000 Wh).
4. build/totals.csv: `SITE,WH`, the sum per site (sites.csv has lines `METER,SITE`), the highest first.
5. VERSION: raise the last of its three numbers by one.
6. build/report.txt: the line `Energy report VERSION`, then the lines of build/totals.csv.
7. report-VERSION.tar.gz: report.txt and totals.csv from build/, without a directory.
8. MANIFEST: one line for the archive as sha256sum prints it, so that `sha256sum -c MANIFEST` succeeds.
Answer with the site that has the highest total, and nothing else."""

SOLUTION = [
    "mkdir build; cd raw; LC_ALL=C sha256sum -c SHA256SUMS | sed -n 's/: OK$//p' | sort > ../build/intact.txt",
    "cd raw; tail -qn +2 $(cat ../build/intact.txt) | LC_ALL=C sort -u > ../build/merged.csv",
    """awk -F, '{ print $1 "," $3 * ($4 == "kWh" ? 1000 : 1) }' build/merged.csv > build/energy.csv""",
    """awk -F, 'NR == FNR { site[$1] = $2; next } { sum[site[$1]] += $2 } END { for (s in sum) print s "," sum[s] }' \
        sites.csv build/energy.csv | sort -t, -k2,2nr > build/totals.csv""",
    "awk -F. -v OFS=. '{ $3 += 1; print }' VERSION > build/next && mv build/next VERSION",
    '(echo "Energy report $(cat VERSION)"; cat build/totals.csv) > build/report.txt',
    'tar -czf "report-$(cat VERSION).tar.gz" -C build report.txt totals.csv',
    "sha256sum report-*.tar.gz > MANIFEST",
]


@agent_task(solution=SOLUTION, answer="Harbour", time_limit=900)
async def test_builds_a_release(agent: Agent, sandbox: Sandbox) -> None:
    """Carry out eight steps in a row: at 95 % success per step, only two attempts in three arrive."""
    sums = [f"{hashlib.sha256(text.encode()).hexdigest()}  {path.removeprefix('raw/')}\n" for path, text in RAW.items()]
    sums.append(f"{hashlib.sha256(b'as it was once').hexdigest()}  late.csv\n")
    inputs = {**RAW, "raw/late.csv": DAMAGED, "raw/SHA256SUMS": "".join(sums), "VERSION": "1.4.9\n"}
    inputs["sites.csv"] = "m1,Harbour\nm2,Mill\nm3,Mill\n"
    for path, text in inputs.items():
        await sandbox.write_file(path, text)

    result = await agent.run(PROMPT)

    for path, text in EXPECTED.items():
        assert await sandbox.read_file(path) == text, path
    for name in ("report.txt", "totals.csv"):
        packed = await sandbox.exec(["tar", "-xzOf", ARCHIVE, name], timeout=10)
        assert packed.stdout == EXPECTED[f"build/{name}"], f"{name} in the archive: {packed.stderr}"
    digest = hashlib.sha256(await sandbox.read_file(ARCHIVE, text=False)).hexdigest()
    assert (await sandbox.read_file("MANIFEST")).split() == [digest, ARCHIVE]
    assert result.answer.strip() == "Harbour"
