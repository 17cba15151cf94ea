import json
import tomllib

from pytest_agenteval import Agent, Sandbox, agent_task

BROKEN = """\
# Service configuration. Ask the platform team before you change a limit.
name = "orders
port = 08080
debug = False

[limits
requests = 250
timeout = 1.5
requests = 300

[[upstream]]
host = db-1.internal
weights = [3 1]
"""

REPAIRED = {
    "name": "orders",
    "port": 8080,
    "debug": False,
    "limits": {"requests": 300, "timeout": 1.5},
    "upstream": [{"host": "db-1.internal", "weights": [3, 1]}],
}


@agent_task(
    solution=[
        "sed -i 's/orders/&\"/' service.toml",
        "sed -i 's/08080/8080/' service.toml",
        "sed -i 's/False/false/' service.toml",
        "sed -i 's/^.limits$/[limits]/' service.toml",
        "sed -i '/requests = 250/d' service.toml",
        "sed -i 's/db-1.internal/\"&\"/' service.toml",
        "sed -i 's/3 1/3, 1/' service.toml",
    ],
)
async def test_repairs_a_configuration(agent: Agent, sandbox: Sandbox) -> None:
    """Repair a file that has several mistakes, of which a parser names only the first."""
    await sandbox.write_file("service.toml", BROKEN)

    await agent.run(
        "service.toml is not valid TOML. Repair its syntax and keep every setting with the value and type it is meant"
        " to have: `port` is an integer, `debug` a boolean, `weights` a list of integers. Where a setting is given"
        " twice, the later one counts. Keep the comment."
    )

    text = await sandbox.read_file("service.toml")
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AssertionError(f"service.toml is still not valid TOML: {error}") from error
    # JSON tells 8080 from 8080.0 and false from 0, which are equal in Python.
    assert json.dumps(settings, sort_keys=True) == json.dumps(REPAIRED, sort_keys=True)
    assert text.startswith(BROKEN.splitlines()[0]), "the comment is gone"
