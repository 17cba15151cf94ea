from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from support.scripted_client import Client, close_clients
from support.scripted_policy import CommandPolicy, Faults, Policy, TextPolicy, Tokens, total
from support.scripted_server import ScriptedServer

FAULTY = CommandPolicy(
    p_success=0.5,
    p_malformed_arguments=0.3,
    p_unknown_tool=0.3,
    p_failing_command=0.3,
    success=("make fix", "make check"),
    failure=("make mess",),
    answer="fixed",
    wrong_answer="gave up",
    tokens=Tokens(prompt=700, completion=50, cached=200),
    faults=Faults(p_429=0.2, p_500=0.1, p_hang=0.1, hang_seconds=0.001, most_per_call=4),
)


@pytest.fixture(autouse=True)
def closed_connections() -> Iterator[None]:
    yield
    close_clients()


def text_of(completion: dict[str, Any]) -> str:
    text: str = completion["choices"][0]["message"]["content"]
    return text


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_concurrent_clients_meet_exactly_the_computed_totals(seed: int) -> None:
    k = 16
    with ScriptedServer({"task a": FAULTY, "task b": FAULTY}, seed=seed) as server, ThreadPoolExecutor(32) as pool:
        prompts = ["do task a", "do task b"] * k
        seen = list(pool.map(lambda prompt: (prompt, Client(server, prompt).converse()), prompts))
        for task in ("task a", "task b"):
            assert total(one for prompt, one in seen if task in prompt) == server.totals(task, k)
            assert server.started(task) == k
        assert len(server.journal) == server.totals("task a", k).requests + server.totals("task b", k).requests
    assert server.totals("task a", k) != server.totals("task b", k)


def test_one_client_after_another_meets_the_conversations_in_order() -> None:
    with ScriptedServer({"task": FAULTY}, seed=5) as server:
        assert [Client(server, "task").converse() for _ in range(6)] == [server.expected("task", n) for n in range(6)]
        answered = Counter(entry.answered for entry in server.journal)
        sums = server.totals("task", 6)
    assert answered == {
        200: sums.calls,
        429: sums.refused_429,
        500: sums.refused_500,
        "hang": sums.hangs,
    }


def test_draws_have_the_stated_probabilities() -> None:
    server = ScriptedServer({"task": FAULTY})
    sums = server.totals("task", 4000)
    # 4 standard errors of a proportion over 4000 draws are at most 0.032.
    assert sums.successes / 4000 == pytest.approx(0.5, abs=0.032)
    assert sums.malformed_arguments / 4000 == pytest.approx(0.3, abs=0.032)
    assert sums.unknown_tools / 4000 == pytest.approx(0.3, abs=0.032)
    assert sums.failing_commands / 4000 == pytest.approx(0.3, abs=0.032)
    assert sums.refused_429 / sums.requests == pytest.approx(0.2, abs=0.02)
    assert sums.refused_500 / sums.requests == pytest.approx(0.1, abs=0.02)
    assert sums.hangs / sums.requests == pytest.approx(0.1, abs=0.02)


def test_one_probability_changes_no_other_draw() -> None:
    calm = replace(FAULTY, p_unknown_tool=0.0, faults=Faults())
    before, after = ScriptedServer({"task": FAULTY}), ScriptedServer({"task": calm})
    for n in range(50):
        assert before.expected("task", n).successes == after.expected("task", n).successes
        assert before.expected("task", n).malformed_arguments == after.expected("task", n).malformed_arguments
        assert after.expected("task", n).unknown_tools == 0


def test_each_model_has_its_own_conversations() -> None:
    with ScriptedServer({"task": FAULTY}) as server:
        ones = [Client(server, "task", "agent-1").converse() for _ in range(3)]
        twos = [Client(server, "task", "agent-2").converse() for _ in range(3)]
        assert total(ones) == server.totals("task", 3)
        assert total(twos) == server.totals("task", 3, model="agent-2")
    assert ones != twos


def test_a_new_client_takes_over_a_refused_conversation_and_its_owner_starts_the_next() -> None:
    policy = CommandPolicy(faults=Faults(p_429=1.0, most_per_call=1))
    with ScriptedServer({"task": policy}) as server:
        first, second = Client(server, "task"), Client(server, "task")
        assert first.post()[0] == 429
        assert second.post()[0] == 200
        assert first.post()[0] == 429
        assert first.post()[0] == 200
        placed = [(entry.conversation, entry.refused, entry.answered) for entry in server.journal]
    assert placed == [(0, 0, 429), (0, 1, 200), (1, 0, 429), (1, 1, 200)]


def test_a_client_that_leaves_before_its_answer_uses_up_no_conversation() -> None:
    with ScriptedServer({"task": CommandPolicy(latency=0.2)}) as server:
        gone = Client(server, "task")
        gone.connection.connect()
        gone.connection.request(
            "POST", "/v1/chat/completions", json.dumps({"messages": gone.messages, "model": "agent-1"})
        )
        gone.connection.close()
        Client(server, "task").converse()
        # The leaver's request may have been placed first or second: it counts only if it was a conversation's own.
        assert [entry.answered for entry in server.journal].count(200) == server.expected("task", 0).calls
        assert [entry.answered for entry in server.journal].count("abandoned") == 1


def test_retry_after_is_sent_with_refusals_as_a_fraction_of_a_second() -> None:
    for retry_after, header in ((0.001, "0.001"), (0, "0"), (None, None)):
        policy = TextPolicy(faults=Faults(p_429=1.0, retry_after=retry_after))
        with ScriptedServer({"": policy}) as server:
            status, headers, content = Client(server, "anything").post()
        assert (status, headers.get("Retry-After")) == (429, header)
        assert json.loads(content)["error"]["code"] == "rate_limit_exceeded"


def test_the_longest_key_in_the_first_user_message_names_the_task() -> None:
    policies: dict[str, Policy] = {"": TextPolicy(answer="any"), "sum": TextPolicy(answer="sum")}
    policies["sum of squares"] = TextPolicy(answer="squares")
    with ScriptedServer(policies) as server:
        prompts = ["the sum of squares", "a sum", "else"]
        assert [text_of(Client(server, prompt).answer()) for prompt in prompts] == ["squares", "sum", "any"]
        parts = Client(server, "")
        parts.messages = [
            {"role": "system", "content": "sum"},
            {"role": "user", "content": [{"type": "text", "text": "a sum"}]},
        ]
        assert text_of(parts.answer()) == "sum"


def test_a_message_of_no_task_is_refused_for_good() -> None:
    with ScriptedServer({"task": TextPolicy()}) as server:
        assert Client(server, "other").post()[0] == 400
        assert [entry.answered for entry in server.journal] == [400]


def test_text_takes_the_place_of_tools_that_are_not_offered() -> None:
    with ScriptedServer({"task": CommandPolicy(p_unknown_tool=1.0, answer="42")}) as server:
        assert text_of(Client(server, "task").answer(tools=())) == "42"
        client = Client(server, "task")
        names = []
        for _ in range(3):
            message = client.answer(tools=("bash",))["choices"][0]["message"]
            client.messages.append(message)
            names.append([call["function"]["name"] for call in message.get("tool_calls", [])] or message["content"])
    assert names == [["no_such_tool"], ["bash"], "42"]


def test_a_text_is_repeated_when_the_client_goes_on() -> None:
    with ScriptedServer({"task": TextPolicy(p_success=0.0, wrong_answer="no idea")}) as server:
        client = Client(server, "task")
        for _ in range(3):
            completion = client.answer()
            assert text_of(completion) == "no idea"
            assert completion["choices"][0]["finish_reason"] == "stop"
            client.messages += [completion["choices"][0]["message"], {"role": "user", "content": "Go on."}]
        assert server.started("task") == 1
        assert [entry.conversation for entry in server.journal] == [0, None, None]


def test_hold_freezes_all_requests_after_the_admitted_ones_until_release() -> None:
    with ScriptedServer({"task": CommandPolicy(extra_steps=1)}) as server, ThreadPoolExecutor(4) as pool:
        server.hold(after=2)
        running = [pool.submit(Client(server, "task").converse) for _ in range(4)]
        server.wait_until_held(4)
        assert [entry.answered for entry in server.journal] == [200, 200]
        server.release()
        assert total(one.result(30) for one in running) == replace(server.totals("task", 4), successes=0)


def test_waiting_for_a_held_request_that_never_comes_times_out() -> None:
    with ScriptedServer({"task": TextPolicy()}) as server:
        server.hold()
        with pytest.raises(TimeoutError, match="0 of 1 requests were held"):
            server.wait_until_held(timeout=0.01)
        with pytest.raises(TimeoutError, match="0 of 1 entries"):
            server.wait_for_journal(timeout=0.01)


def test_a_client_that_was_killed_while_held_uses_up_no_conversation() -> None:
    with ScriptedServer({"task": TextPolicy()}) as server:
        server.hold()
        killed = Client(server, "task")
        killed.connection.connect()
        killed.connection.request("POST", "/v1/chat/completions", json.dumps({"messages": killed.messages}))
        server.wait_until_held()
        killed.connection.close()
        server.release()
        Client(server, "task").answer()
        assert server.started("task") == 1


def test_the_end_of_the_block_frees_held_and_hanging_clients_and_all_threads() -> None:
    before = threading.active_count()
    policy = TextPolicy(faults=Faults(p_hang=1.0, hang_seconds=3600))
    with ThreadPoolExecutor(2) as pool:
        with ScriptedServer({"hang": policy, "task": TextPolicy()}) as server:
            hanging = pool.submit(Client(server, "hang").post)
            server.wait_for_journal()
            server.hold()
            held = pool.submit(Client(server, "task").post)
            server.wait_until_held()
        assert (hanging.result(30)[0], held.result(30)[0]) == (0, 0)
    assert [entry.answered for entry in server.journal] == ["hang", "abandoned"]
    assert server.started("task") == 0
    assert threading.active_count() == before


def test_the_journal_has_the_time_the_model_and_the_token_limit_asked_for() -> None:
    with ScriptedServer({"task": TextPolicy()}) as server:
        for limit in ({"max_tokens": 77}, {"max_completion_tokens": 88}, {}):
            assert Client(server, "task", "agent-9").post((), **limit)[0] == 200
        times = [entry.time for entry in server.journal]
        assert times == sorted(times)
        assert [(entry.model, entry.max_tokens) for entry in server.journal] == [
            ("agent-9", 77),
            ("agent-9", 88),
            ("agent-9", None),
        ]


def test_a_wrong_key_gets_401_on_every_path() -> None:
    with ScriptedServer({"task": TextPolicy()}, api_key="right") as server:
        client = Client(server, "task")
        assert client.post()[0] == 200
        client.headers = {"Authorization": "Bearer wrong"}
        assert client.post()[0] == 401
        client.connection.request("GET", "/v1/models", headers=client.headers)
        assert client.connection.getresponse().status == 401


def test_models_are_listed_and_other_paths_are_not_found() -> None:
    with ScriptedServer({"task": TextPolicy()}, models=("agent-1", "agent-2")) as server:
        client = Client(server, "task")
        client.connection.request("GET", "/v1/models")
        assert [model["id"] for model in json.load(client.connection.getresponse())["data"]] == ["agent-1", "agent-2"]
        client.connection.request("GET", "/v1/files")
        assert client.connection.getresponse().status == 404


def test_a_stream_carries_the_same_call_and_usage() -> None:
    with ScriptedServer({"task": CommandPolicy(success=("ls",))}) as server:
        status, headers, content = Client(server, "task").post(stream=True)
        plain = Client(server, "task").answer()
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    events = content.decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    said, usage = (json.loads(event.removeprefix("data: ")) for event in events[:2])
    [call] = said["choices"][0]["delta"]["tool_calls"]
    assert call["function"] == plain["choices"][0]["message"]["tool_calls"][0]["function"]
    assert usage["usage"] == plain["usage"]


def test_an_error_of_the_server_is_raised_at_the_end() -> None:
    with (
        pytest.raises(ExceptionGroup, match="scripted server failed") as caught,
        ScriptedServer({"": TextPolicy()}) as server,
    ):
        client = Client(server, "task")
        client.messages = [{"content": "no role"}]
        assert client.post()[0] == 400
    assert caught.group_contains(KeyError)


def test_the_address_of_a_server_that_does_not_run_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="with"):
        _ = ScriptedServer({}).base_url


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: CommandPolicy(p_success=1.5), "p_success"),
        (lambda: TextPolicy(p_success=-0.1), "p_success"),
        (lambda: Faults(p_429=0.6, p_500=0.6), "p_429_and_p_500_and_p_hang"),
        (lambda: Tokens(prompt=10, cached=11), "cached"),
    ],
)
def test_impossible_numbers_are_refused_by_name(make: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        make()
