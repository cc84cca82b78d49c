"""`vivace.metrics_text()`, the server's `/metrics`, and OpenTelemetry."""

from __future__ import annotations

import json
from typing import Any

import pytest

PROGRAM = """
    import asyncio, json, sys, time
    import vivace

    async def fails():
        raise ValueError

    async def forever():
        await asyncio.sleep(1000)

    async def main():
        tasks = [asyncio.create_task(asyncio.sleep(0.001)) for _ in range(20)]
        tasks += [asyncio.create_task(fails()), asyncio.create_task(forever())]
        await asyncio.sleep(0.02)
        tasks[-1].cancel()
        await asyncio.wait(tasks)
        tasks[-2].exception()
        time.sleep(0.02)
        counters = asyncio.get_running_loop()._see_counters
        print(json.dumps([vivace.metrics_text(), counters]))

    asyncio.run(main())
"""


def parsed(text: str) -> dict[str, Any]:
    """The families by name, read by Prometheus' own parser."""
    parser = pytest.importorskip("prometheus_client.parser")
    return {family.name: family for family in parser.text_string_to_metric_families(text)}


def samples(family: Any, suffix: str = "") -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for sample in family.samples
        if sample.name == family.name + suffix
    }


def test_numbers_are_those_of_the_loop(watch: Any) -> None:
    text, counters = json.loads(watch(PROGRAM).stdout)
    families = parsed(text)
    created = samples(families["asyncio_task_created"], "_total")
    assert created == {(): counters["created"]} == {(): 23}
    completed = samples(families["asyncio_task_completed"], "_total")
    assert completed == {
        (("outcome", "ok"),): 20,
        (("outcome", "error"),): 1,
        (("outcome", "cancelled"),): 1,
    }
    count = samples(families["asyncio_task_count"])
    assert count == {
        (("state", "running"),): 1,
        (("state", "ready"),): 0,
        (("state", "waiting"),): 0,
    }
    time = samples(families["asyncio_eventloop_time_seconds"], "_total")
    assert set(time) == {(("state", state),) for state in ("busy", "idle", "gil_wait", "gc")}
    assert time[(("state", "idle"),)] == pytest.approx(counters["idle"] / 1e9)
    assert 0 < samples(families["asyncio_eventloop_utilization_ratio"])[()] <= 1
    iterations = samples(families["asyncio_eventloop_iterations"], "_total")
    assert iterations == {(): counters["iterations"]}
    blocks = samples(families["asyncio_eventloop_blocks"], "_total")
    assert (("cause", "cpu"),) in blocks


def test_histograms_are_whole(watch: Any) -> None:
    text, counters = json.loads(watch(PROGRAM).stdout)
    families = parsed(text)
    for name, counter in (
        ("asyncio_eventloop_callback_duration_seconds", "durations"),
        ("asyncio_eventloop_delay_seconds", "delays"),
    ):
        family = families[name]
        assert family.type == "histogram"
        buckets = [
            (float(sample.labels["le"]), sample.value)
            for sample in family.samples
            if sample.name == f"{name}_bucket"
        ]
        assert buckets == sorted(buckets)
        assert buckets[-1] == (float("inf"), sum(counters[counter]))
        assert samples(family, "_count") == {(): sum(counters[counter])}
        # What is at most a second long: 2^30 ns and a bit.
        [below] = [count for bound, count in buckets if 1 < bound < 1.1]
        assert below == sum(counters[counter][:31])
    assert samples(families["asyncio_eventloop_delay_seconds"], "_sum")[()] == pytest.approx(
        counters["delay_sum"] / 1e9
    )


def test_loops_are_told_apart_only_if_there_are_several(watch: Any) -> None:
    done = watch(
        """
        import asyncio, json
        import vivace
        print(json.dumps(vivace.metrics_text()))
        first = vivace.new_event_loop()
        print(json.dumps(vivace.metrics_text()))
        second = vivace.new_event_loop()
        second.run_until_complete(asyncio.sleep(0))
        print(json.dumps(vivace.metrics_text()))
        first.close(), second.close()
        """
    )
    none, one, two = (parsed(json.loads(line)) for line in done.stdout.splitlines())
    assert none["asyncio_task_created"].samples == []
    assert samples(one["asyncio_task_created"], "_total") == {(): 0}
    assert samples(two["asyncio_task_created"], "_total") == {
        (("loop", "0"),): 0,
        (("loop", "1"),): 1,
    }


def test_findings_are_counted(watch: Any) -> None:
    done = watch(
        """
        import json
        import vivace
        from vivace.see._findings import report
        for place in ("a.py:1", "a.py:1", "b.py:1"):
            report("V201", place=place)
        report("V202")
        print(json.dumps(vivace.metrics_text()))
        """
    )
    families = parsed(json.loads(done.stdout))
    assert samples(families["asyncio_coroutine_unawaited"], "_total") == {(): 2}
    assert samples(families["asyncio_task_unobserved_errors"], "_total") == {(): 1}
    assert samples(families["asyncio_task_orphaned"], "_total") == {(): 0}


def test_what_is_only_looked_at(watch: Any) -> None:
    done = watch(
        """
        import asyncio, json, socket, threading, time
        import vivace
        from concurrent.futures import ThreadPoolExecutor

        async def crossed(mine, theirs):
            async with mine:
                await asyncio.sleep(0)
                async with theirs:
                    pass

        async def main():
            loop = asyncio.get_running_loop()
            before = vivace.metrics_text()
            loop.set_default_executor(ThreadPoolExecutor(2))
            end = threading.Event()
            jobs = [loop.run_in_executor(None, end.wait) for _ in range(5)]
            ours, theirs = socket.socketpair()
            loop.add_reader(ours, print)
            first, second = asyncio.Lock(), asyncio.Lock()
            tasks = [
                asyncio.create_task(crossed(first, second)),
                asyncio.create_task(crossed(second, first)),
            ]
            # Busy for longer than two looks take.
            until = time.monotonic() + 30
            while time.monotonic() < until:
                await asyncio.sleep(0.05)
                if 'asyncio_task_deadlocked 2' in vivace.metrics_text():
                    break
            print(json.dumps([before, vivace.metrics_text()]))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            end.set()
            await asyncio.gather(*jobs)
            loop.remove_reader(ours)

        asyncio.run(main())
        """,
        VIVACE_DIAG_DEADLOCK="0.5",
    )
    before, after = (parsed(text) for text in json.loads(done.stdout))
    own = samples(before["asyncio_eventloop_fd_count"])[()]
    assert samples(after["asyncio_eventloop_fd_count"])[()] == own + 1
    threads = samples(after["asyncio_executor_thread_count"])
    assert threads == {(("executor", "default"),): 2, (("executor", "anyio"),): 0}
    waiting = samples(after["asyncio_executor_queue_count"])
    assert waiting == {(("executor", "default"),): 3, (("executor", "anyio"),): 0}
    assert samples(before["asyncio_task_deadlocked"]) == {(): 0}
    assert samples(after["asyncio_task_deadlocked"]) == {(): 2}


def test_tasks_that_are_queued_are_told_apart(watch: Any) -> None:
    done = watch(
        """
        import asyncio
        import vivace

        async def main():
            event = asyncio.Event()
            waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
            await asyncio.sleep(0)
            ready = [asyncio.create_task(asyncio.sleep(0)) for _ in range(2)]
            print(vivace.metrics_text())
            event.set()
            await asyncio.gather(*waiting, *ready)

        asyncio.run(main())
        """
    )
    assert samples(parsed(done.stdout)["asyncio_task_count"]) == {
        (("state", "running"),): 1,
        (("state", "ready"),): 2,
        (("state", "waiting"),): 3,
    }


def test_how_long_calls_wait_for_a_thread(watch: Any) -> None:
    done = watch(
        """
        import asyncio, threading, time
        import vivace
        from concurrent.futures import ThreadPoolExecutor

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(1))
            end = threading.Event()
            first = loop.run_in_executor(None, end.wait)
            begin = time.monotonic()
            second = asyncio.create_task(asyncio.to_thread(lambda: time.monotonic() - begin))
            await asyncio.sleep(0.3)
            end.set()
            await first
            waited = await second
            print(vivace.metrics_text())
            print("# waited", waited)

        asyncio.run(main())
        """
    )
    family = parsed(done.stdout)["asyncio_executor_wait_duration_seconds"]
    assert family.type == "histogram"
    default = ("executor", "default")
    assert samples(family, "_count") == {(default,): 2}
    waited = float(done.stdout.rpartition("# waited ")[2])
    assert waited >= 0.3
    assert samples(family, "_sum")[(default,)] == pytest.approx(waited, abs=0.1)
    buckets = samples(family, "_bucket")
    assert buckets[(default, ("le", "0.268435456"))] == 1
    assert buckets[(default, ("le", "+Inf"))] == 2


def test_threads_are_counted_at_once(watch: Any) -> None:
    done = watch(
        """
        import asyncio
        import vivace

        async def main():
            await asyncio.to_thread(int)
            print(vivace.metrics_text())

        asyncio.run(main())
        """
    )
    threads = samples(parsed(done.stdout)["asyncio_executor_thread_count"])
    assert threads == {(("executor", "default"),): 1, (("executor", "anyio"),): 0}


def test_there_is_nothing_when_off(watch: Any) -> None:
    text, counters = json.loads(
        watch(PROGRAM.replace("_see_counters", "_see_counters or {}"), diag="0").stdout
    )
    assert (text, counters) == ("", {})


def test_opentelemetry_observes_the_same(watch: Any) -> None:
    pytest.importorskip("opentelemetry.sdk.metrics")
    done = watch(
        """
        import asyncio, json
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from vivace.see import _opentelemetry

        reader = InMemoryMetricReader()
        _opentelemetry.instrument(MeterProvider([reader]).get_meter("test"))

        async def main():
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(5)))
            data = json.loads(reader.get_metrics_data().to_json())
            [scope] = data["resource_metrics"][0]["scope_metrics"]
            print(json.dumps({m["name"]: m for m in scope["metrics"]}))

        asyncio.run(main())
        """
    )
    metrics = json.loads(done.stdout)
    created = metrics["asyncio.task.created"]
    assert created["unit"] == "{task}"
    assert created["data"]["is_monotonic"] is True
    assert [point["value"] for point in created["data"]["data_points"]] == [6]
    assert metrics["asyncio.task.count"]["data"]["is_monotonic"] is False
    states = {
        point["attributes"]["state"]: point["value"]
        for point in metrics["asyncio.eventloop.time"]["data"]["data_points"]
    }
    assert states["busy"] > 0
