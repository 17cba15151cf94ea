import csv

from pytest_agenteval import Agent, Sandbox, agent_task, rule

PEOPLE = """\
 Name , E-Mail,Joined
 Fay Oh,fay@example.org, 2023-11-30
Bo Chen,bo@example.org ,17/04/2024
Ann Lee , ANN@example.org,2024-03-01

"Díaz, Eva",eva@example.org,02/01/2024
Dan Roy, ,2024-02-02
Ann Lee,ann@example.org,2024-05-09
"""

CLEAN = [
    ["name", "email", "joined"],
    ["Ann Lee", "ann@example.org", "2024-03-01"],
    ["Bo Chen", "bo@example.org", "2024-04-17"],
    ["Díaz, Eva", "eva@example.org", "2024-01-02"],
    ["Fay Oh", "fay@example.org", "2023-11-30"],
]

SOLUTION = """python3 - <<'END'
import csv, re

people = {}
with open("people.csv", encoding="utf-8", newline="") as file:
    for row in list(csv.reader(file))[1:]:
        if row:
            name, email, joined = (cell.strip() for cell in row)
            joined = re.sub(r"(..)/(..)/(....)", r"\\3-\\2-\\1", joined)
            people.setdefault(email.lower(), [name, email.lower(), joined])
people.pop("", None)
with open("clean.csv", "w", encoding="utf-8", newline="") as file:
    csv.writer(file).writerows([["name", "email", "joined"], *(people[email] for email in sorted(people))])
END"""


@agent_task(solution=SOLUTION, rules=[rule.unchanged("people.csv"), rule.max_tool_calls(20)])
async def test_cleans_a_table(agent: Agent, sandbox: Sandbox) -> None:
    """Clean a CSV file. What counts is the table, not how the file quotes it or ends its lines."""
    await sandbox.write_file("people.csv", PEOPLE)

    await agent.run(
        "Make clean.csv (UTF-8, commas) from people.csv, and leave people.csv as it is. The header is"
        " `name,email,joined`. No cell begins or ends with blanks. E-mail addresses are in lower case. Dates are"
        " YYYY-MM-DD; those with slashes are DD/MM/YYYY. Drop empty lines and people without an e-mail address. Where"
        " an address occurs more than once, whatever its case, keep the first. Sort by e-mail address."
    )

    clean = await sandbox.read_file("clean.csv")
    assert list(csv.reader(clean.splitlines())) == CLEAN
    assert await sandbox.read_file("people.csv") == PEOPLE, "people.csv was changed"
