"""The worker's utilization, watched until CloudWatch has published some: EC2 does so every five minutes."""

import time

from claims import claim
from progress import say

ANSWERS = claim("get-instance-resources-utilization answers, and says why what it lacks is not available")
CPU = claim("CPU utilization becomes available")
MEMORY = claim("Memory is not available without a CloudWatch agent, and the answer says so")

def observe(run, worker):
    say(f"watching the utilization for {run.arguments.minutes:g} minutes")
    with run.claims.observing(ANSWERS, CPU, MEMORY):
        answer, waited = watch(run, worker)
        judge(run, answer, waited)


def watch(run, worker):
    """The first answer with a CPU value, or the last one; and the minutes until then."""
    start = time.monotonic()
    while True:
        answer = worker.read("/utilization", [("window", "10m")])
        waited = (time.monotonic() - start) / 60
        if available(answer, "cpu") or waited >= run.arguments.minutes or answer.status != 200:
            return answer, waited
        say(f"  no CPU value after {waited:.1f} minutes")
        time.sleep(run.arguments.poll_seconds)


def available(answer, metric):
    return answer.json.get(metric, {}).get("available") is True


def judge(run, answer, waited):
    cpu, memory = answer.json.get("cpu", {}), answer.json.get("memory", {})
    explained = all(one.get("available") is True or one.get("reason") for one in (cpu, memory))
    run.claims.judge(ANSWERS, answer.status == 200 and explained, answer)
    if available(answer, "cpu"):
        found = f"{cpu['latest']} %, {cpu['age_seconds']} seconds old"
        run.claims.seen(CPU, f"{answer} after {waited:.1f} minutes: {found}")
    else:
        run.claims.not_seen(CPU, f"not within {waited:.1f} minutes: {cpu.get('reason')}")
    unavailable = memory.get("available") is False and memory.get("reason")
    run.claims.judge(MEMORY, unavailable, f"{answer}: {memory.get('reason')}")
