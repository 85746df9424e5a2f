from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from flows.schedule import MANUAL, SCHEDULED, plans, register
from flows.startup import clear_leftovers, wait_until, watch_for_zombies
from flows.warm import PRELOADED
from pipeline.errors import RunError, WarehouseBusy
from pipeline.jobs.turn import turn
from pipeline.settings import Settings


def test_what_is_preloaded_starts_no_thread_of_its_own():
    """Forking a process with threads copies their locks, but not them."""
    code = f"""
import os, importlib
for name in {PRELOADED!r}: importlib.import_module(name)
import threading
assert threading.active_count() == 1, threading.enumerate()
tasks = [open(f"/proc/self/task/{{task}}/comm").read().strip() for task in os.listdir("/proc/self/task")]
assert sorted(set(tasks[1:])) in ([], ["jemalloc_bg_thd"]), tasks
"""
    environment = {"OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=90)


def test_importing_flows_imports_nothing_heavy():
    heavy = ("numpy", "polars", "duckdb", "numba", "pandas", "pyarrow", "scipy", "statsmodels")
    modules = ", ".join(f"flows.{name}" for name in ("resample", "fit_pairs", "liquidity", "backfill", "report", "screen", "archive"))
    code = f"import sys, {modules}; assert not [name for name in {heavy!r} if name in sys.modules]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=90)


def test_waiting_ends_with_one_clear_line():
    with pytest.raises(RunError, match=r"^the thing was not there within 0.05 s; look for it$"):
        wait_until("the thing", lambda: False, hint="look for it", patience_s=0.05)
    wait_until("the thing", iter([False, True]).__next__, hint="")


def test_one_run_of_a_job_at_a_time(tmp_path):
    from pipeline.model.event import TradeKind
    from pipeline.profile import Kind, open_profile

    profile = open_profile(tmp_path, "turns", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="")
    order = []

    def second():
        with turn(profile, "resample", patience_s=5):
            order.append("second")

    with turn(profile, "resample"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        with turn(profile, "backfill", patience_s=0):
            order.append("another job")
        with (
            pytest.raises(WarehouseBusy, match="another resample of profile 'turns' is still running"),
            turn(profile, "resample", patience_s=0),
        ):
            pass
        order.append("first")
    thread.join()
    assert order == ["another job", "first", "second"]


def test_schedules_come_from_the_settings_and_never_share_a_second():
    planned = plans(Settings(resample_every_s=120))
    assert {plan.flow.name: plan.every_s for plan in planned} == {
        "backfill": 3600,
        "resample": 120,
        "fit_pairs": 60,
        "liquidity": 300,
        "report": 3600,
        "screen": 3600,
        "archive": 3600,
        "repair_gaps": 300,
        "check_quality": 300,
        "maintain": 21_600,
    }
    assert len({plan.offset_s for plan in planned}) == len(planned)


async def _deployments_are_registered():
    from prefect.client.orchestration import get_client
    from prefect.runner import Runner
    from prefect.states import Running

    planned = plans(Settings())
    await register(Runner(name="spreadwatch"), planned)
    await register(Runner(name="spreadwatch"), planned)
    await watch_for_zombies()
    await watch_for_zombies()
    async with get_client() as client:
        deployments = await client.read_deployments()
        assert sorted(deployment.name for deployment in deployments) == [MANUAL] * len(planned) + [SCHEDULED] * len(planned)
        for deployment in deployments:
            scheduled = deployment.name == SCHEDULED
            assert len(deployment.schedules) == scheduled
            assert deployment.concurrency_options.collision_strategy.value == ("CANCEL_NEW" if scheduled else "ENQUEUE")
            assert deployment.global_concurrency_limit.limit == 1
        assert len(await client.read_automations()) == 1
        manual = next(deployment for deployment in deployments if deployment.name == MANUAL)
        waiting = await client.create_flow_run_from_deployment(manual.id)
        lost = await client.create_flow_run_from_deployment(manual.id)
        await client.set_flow_run_state(lost.id, Running(), force=True)

        # Two at once: each meets runs that the other has just removed.
        (removed, marked), (removed_too, marked_too) = await asyncio.gather(clear_leftovers(), clear_leftovers())
        assert max(removed, removed_too) >= 2  # the first runs of both registrations that were due at once
        assert max(marked, marked_too) == 1
        assert (await client.read_flow_run(lost.id)).state_name == "Crashed"
        assert (await client.read_flow_run(waiting.id)).state_name == "Scheduled"
        _, marked = await clear_leftovers()  # a first run may have become due in between
        assert marked == 0


@pytest.mark.usefixtures("prefect")
def test_deployments_first_runs_and_leftovers():
    asyncio.run(_deployments_are_registered())
