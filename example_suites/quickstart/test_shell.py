from pytest_agenteval import Agent, Sandbox, agent_task

BROKEN = """\
#!/bin/bash
# Usage: collect.sh FROM TO
# Copies every .txt file in or below the directory FROM into the directory TO, which it makes if needed.
set -e
mkdir $2
for file in $(find $1 -name *.txt); do
    cp $file $2
done
"""

HIDDEN_FILES = {
    "post of ann/holiday plan.txt": "north\n",
    "post of ann/old letters/to  bo.txt": "hello\n",
    "post of ann/old letters/[draft].txt": "dear\n",
    "post of ann/picture.png": "not text\n",
}


@agent_task(
    solution=[
        """sed -i 's/^mkdir .*/mkdir -p "$2"/; /^for/,/^done/d' collect.sh""",
        """echo 'find "$1" -type f -name "*.txt" -exec cp {} "$2" ";"' >> collect.sh""",
    ],
)
async def test_repairs_a_shell_script(agent: Agent, sandbox: Sandbox) -> None:
    """Repair a script, then meet names that the agent never saw."""
    await sandbox.write_file("collect.sh", BROKEN)

    await agent.run(
        "collect.sh works only for simple names, and only once: it fails where a directory or file has blanks or other"
        " unusual characters in its name, where .txt files lie in the directory it is called from, and where the"
        " directory TO exists already. Repair it. Keep its usage."
    )

    assert (await sandbox.read_file("collect.sh")).startswith("#!"), "collect.sh does not say any longer what runs it"
    await sandbox.write_file("decoy.txt", "An unquoted *.txt in collect.sh becomes this name.\n")
    for path, text in HIDDEN_FILES.items():
        await sandbox.write_file(path, text)
    for _ in range(2):
        collect = await sandbox.exec(["bash", "collect.sh", "post of ann", "all texts"], timeout=10)
        assert collect.success, collect.stderr

    names = await sandbox.exec(["ls", "all texts"], timeout=10)
    assert sorted(names.stdout.splitlines()) == ["[draft].txt", "holiday plan.txt", "to  bo.txt"]
    assert await sandbox.read_file("all texts/to  bo.txt") == "hello\n"
