"""What a cluster does to the pods of a variant, acted out with the command, volumes and rights that its manifests say.

Each scene ends with what the sandbox's journal, which is the truth, and the ledger say of each other: a beat that one
of them does not know is lost, and two in the time of one are doubled.

Usage, as root: PYTHONPATH=tests python acted.py SCENE RENDERED.yaml
"""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import yaml
from harness.pods import as_if_earlier, fast_world
from harness.postgres import GUARDED, PASSWORD, Server, server
from harness.processes import CANARY, Sandbox
from node import BIN, Manifests, Node, Pod, until

from warmer.core.beat import Status
from warmer.ledger import open_ledger

MODELS = [f"acme/model-{number}" for number in range(12)]
SLOW = "acme/slow"
PROVIDER, LEDGER = 8080, 5432
"""Ports of a pod's own loopback address, behind which the sandbox and the PostgreSQL are."""
SECRETS = {"replicate-token": CANARY, "ledger-password": PASSWORD}
LOOKS_AROUND = """
import os, sys
from pathlib import Path
own = {line.split(":")[0]: line.split() for line in Path("/proc/self/status").read_text().splitlines()}
print(f"user {os.getuid()}, groups {[os.getgid(), *os.getgroups()]}, capabilities {int(own['CapEff'][1], 16)}, "
      f"no_new_privs {own['NoNewPrivs'][1]}, home {os.environ['HOME']}")
for wanted, folders in ((False, sys.argv[1].split(",")), (True, sys.argv[2].split(","))):
    for folder in folders:
        try:
            (Path(folder) / "probe").write_text("")
            (Path(folder) / "probe").unlink()
            could, why = True, ""
        except OSError as refused:
            could, why = False, f" ({refused.strerror})"
        assert could == wanted, f"{folder}: {could}"
        print(f"{'can' if could else 'cannot'} write in {folder}{why}")
"""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def provider(folder: Path) -> Iterator[Sandbox]:
    """The sandbox, as a process: models that are quick, and one that boots for a minute."""
    world = fast_world(folder, [f"acme/model-{number}" for number in range(60)])
    with world.open("a") as more:
        more.write(f'[models."{SLOW}"]\nkind = "greeting"\nboot_s = 60.0\nrun_s = 0.05\n')
    command = [str(BIN / "warmer"), "sandbox", "--world", str(world)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Sandbox(process.stdout.readline().split()[1])
        finally:
            process.terminate()


@contextmanager
def node(
    manifests: Manifests, folder: Path, sandbox: Sandbox, file: str, postgres: Server | None = None
) -> Iterator[Node]:
    """A node whose pods reach the sandbox, and the PostgreSQL where there is one. No pod outlives the block."""
    made = Node(folder / "node", manifests, file, SECRETS)
    behind = int(sandbox.url.rpartition(":")[2])
    made.reaches[PROVIDER] = lambda: socket.create_connection(("127.0.0.1", behind))
    if postgres is not None:
        made.reaches[LEDGER] = lambda: by_path(postgres.folder / f".s.PGSQL.{LEDGER}")
    try:
        yield made
    finally:
        made.close()


def by_path(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))
    return made


def file_of(
    manifests: Manifests, models: Iterable[str], every: str, *, top: str = "", ledger: str | None = None
) -> str:
    """The variant's own file as its owner edits it: other models, and where provider and ledger are."""
    told = manifests.file
    told["replicate"] |= {
        "base_url": f"http://127.0.0.1:{PROVIDER}/v1",
        "creates_per_minute": 60_000,
        "reads_per_minute": 60_000,
    }
    if ledger is not None:
        told["ledger"] = ledger
    told["defaults"] = {"policy": "fixed", "every": every, "input": {"text": "hi"}}
    told["models"] = [{"model": slug} for slug in models]
    return yaml.safe_dump(told, sort_keys=False) + top


def calls(sandbox: Sandbox) -> dict[str, list[datetime]]:
    """When beats of each model reached the provider, by its journal."""
    found = defaultdict[str, list[datetime]](list)
    for call in sandbox.creates():
        found[call["model"]].append(datetime.fromisoformat(call["created_at"]))
    return {model: sorted(times) for model, times in found.items()}


def gaps_s(sandbox: Sandbox) -> list[float]:
    return [
        (later - sooner).total_seconds()
        for model, times in calls(sandbox).items()
        if model != SLOW
        for sooner, later in pairwise(times)
    ]


def add_up(sandbox: Sandbox, address: str, every_s: float) -> None:
    """Hold the journal and the ledger against each other, and say what came of it."""
    ledger = open_ledger(address, password=PASSWORD)
    try:
        on_record = [beat for beat in ledger.beats() if beat.prediction_id is not None]
    finally:
        ledger.close()
    still_open, running = open_beats(address), sandbox.running()
    truth = {call["id"]: call["status"] for call in sandbox.creates()}
    whose = {call["id"]: call["model"] for call in sandbox.creates()}
    times = Counter(beat.prediction_id for beat in on_record)
    lost = [whose.get(name, name) for name in truth.keys() | times.keys() if times[name] != 1]
    changed = sum(beat.status is not Status.UNKNOWN and beat.status != truth[beat.prediction_id] for beat in on_record)
    # Half of it is left to requests that are longer on their way than others.
    doubled = sum(gap < every_s / 2 for gap in gaps_s(sandbox))
    say(
        f"{len(truth)} beats of {len(calls(sandbox))} models in the journal, {len(on_record)} on record: "
        f"{len(lost)} lost, {doubled} doubled, {changed} recorded otherwise, {len(still_open)} open, {running} running"
    )
    found = (lost, doubled, changed, still_open, running)
    assert truth and found == ([], 0, 0, [], 0), found


def keep_pace(sandbox: Sandbox, every_s: float) -> None:
    """No beat was left out so far."""
    gaps = gaps_s(sandbox)
    say(f"between two beats of a model {min(gaps):.2f} to {max(gaps):.2f} s, where the file says {every_s:g} s")
    assert max(gaps) < 3 * every_s


def open_beats(address: str) -> list[str]:
    ledger = open_ledger(address, password=PASSWORD)
    try:
        return [str(beat.key) for beat in ledger.open_beats()]
    finally:
        ledger.close()


def given_up(address: str) -> set[str]:
    """Models of which a beat was claimed by a process that died before the provider heard of it."""
    ledger = open_ledger(address, password=PASSWORD)
    try:
        return {beat.model for beat in ledger.beats() if beat.prediction_id is None}
    finally:
        ledger.close()


def keep_secrets(one: Node) -> None:
    for log in one.folder.glob("*/log.jsonl"):
        for secret in SECRETS.values():
            assert secret not in log.read_text("utf-8"), log


def sqlite_of(one: Node) -> str:
    """The address, from outside, of the ledger that the pods have on their volume."""
    told = str(one.manifests.file["ledger"]).removeprefix("sqlite:///")
    (mount,) = (each for each in one.pods[0].container["volumeMounts"] if told.startswith(each["mountPath"] + "/"))
    return f"sqlite:///{one.volumes[mount['name']]}{told.removeprefix(mount['mountPath'])}"


def look_around(pod: Pod) -> None:
    """What can be written in the pod, and by whom."""
    mounts = pod.container["volumeMounts"]
    writable = ",".join(each["mountPath"] for each in mounts if not each.get("readOnly"))
    closed = ",".join(["/", "/etc", "/home", "/root", "/var"] + [m["mountPath"] for m in mounts if m.get("readOnly")])
    for line in pod.execute("python", "-c", LOOKS_AROUND, closed, writable).splitlines():
        say(line)


# -- the scenes ------------------------------------------------------------------------------------------------------


def jobs(manifests: Manifests, folder: Path) -> None:
    """A CronJob: two jobs at once, then none for an hour, then one."""
    every_s = 5.0
    with provider(folder) as sandbox, node(manifests, folder, sandbox, file_of(manifests, MODELS, "5s")) as one:
        together = [one.start() for _ in range(2)]
        look_around(together[0])
        codes = [pod.wait(300) for pod in together]
        lasted_s = time.monotonic() - together[0].began
        sent = [len(pod.said.events("beat.sent")) for pod in together]
        say(f"two jobs at once: {sent} beats sent, exit codes {codes} after {lasted_s:.0f} s")
        assert codes == [0, 0]
        keep_pace(sandbox, every_s)
        add_up(sandbox, sqlite_of(one), every_s)

        with closing(sqlite3.connect(sqlite_of(one).removeprefix("sqlite:///"))) as ledger, ledger:
            ledger.execute(as_if_earlier(timedelta(hours=1)))
        one.swap(file_of(manifests, MODELS, "10m"))
        before = len(sandbox.creates())
        after = one.start()
        until(lambda: len(after.said.events("beat.done")) >= len(MODELS), "a beat of each model", after.said)
        time.sleep(3)
        code, took_s = after.terminate()
        counts = Counter(call["model"] for call in sandbox.creates()[before:])
        say(
            f"after an hour without a job, a beat being due every 10 min: {min(counts.values())} to "
            f"{max(counts.values())} beats of {len(counts)} models; SIGTERM: exit code {code} after {took_s:.1f} s"
        )
        assert (code, counts) == (0, dict.fromkeys(MODELS, 1))
        add_up(sandbox, sqlite_of(one), every_s)
        keep_secrets(one)


def shards(manifests: Manifests, folder: Path) -> None:
    """An Indexed Job, one part of which is lost, and the next minute's."""
    models = [f"acme/model-{number}" for number in range(40)]
    job = manifests.one("CronJob")["spec"]["jobTemplate"]["spec"]
    count = job["completions"]
    assert (job["completionMode"], job["parallelism"]) == ("Indexed", count)
    with provider(folder) as sandbox, server() as postgres:
        address = postgres.database(user=GUARDED)
        file = file_of(manifests, models, "10m", ledger=in_pods(address))
        with node(manifests, folder, sandbox, file, postgres) as one:

            def parts() -> list[Pod]:
                return [one.start(JOB_COMPLETION_INDEX=str(index)) for index in range(count)]

            first = parts()
            dead = first[1]
            until(lambda: dead.said.events("beat.sent"), "a beat of the part that is to die", dead.said)
            dead.kill()
            living = [pod for pod in first if pod is not dead]
            until(lambda: at_rest(living, sandbox), "the other parts having sent theirs")
            ended = [pod.terminate() for pod in living]
            sent = [len(pod.said.events("beat.sent")) for pod in first]
            say(
                f"parts 0 to {count - 1}: {sent} beats of {len(models)} models; part 1 was killed, the others ended "
                f"with {[code for code, _ in ended]} within {max(took for _, took in ended):.1f} s of SIGTERM"
            )
            assert sum(code for code, _ in ended) == 0

            second = parts()
            # What was claimed and perhaps sent is never sent again: the model's next beat is due in ten minutes.
            until(lambda: calls(sandbox).keys() | given_up(address) == set(models), "the rest of the models")
            until(lambda: not open_beats(address), "the beats of the part that died being known")
            codes = [pod.terminate()[0] for pod in second]
            say(f"the next minute's: {[len(pod.said.events('beat.sent')) for pod in second]} beats, exit codes {codes}")
            counts = Counter(call["model"] for call in sandbox.creates())
            unsent = set(models) - counts.keys()
            say(
                f"{len(counts)} of {len(models)} models, {min(counts.values())} to {max(counts.values())} beats each; "
                f"{len(unsent)} that the dead part had claimed and not sent"
            )
            assert (codes, max(counts.values())) == ([0] * count, 1)
            assert unsent <= given_up(address), unsent
            assert len(unsent) < len(models) / count
            whose = [{line["model"] for line in pod.said.events("beat.sent")} for pod in (*first, *second)]
            assert not any(whose[part] & whose[other] for part, other in unlike(count))
            add_up(sandbox, address, 600.0)
            keep_secrets(one)


def daemon(manifests: Manifests, folder: Path) -> None:
    """A Deployment of one: probes, edits of the ConfigMap, its end, and what comes after."""
    every_s = 5.0
    with provider(folder) as sandbox, node(manifests, folder, sandbox, file_of(manifests, MODELS, "5s")) as one:
        pod = one.start()
        say(f"ready after {pod.ready():.1f} s")
        look_around(pod)
        answer_probes(pod)
        until(lambda: len(calls(sandbox)) == len(MODELS), "a beat of each model", pod.said)

        follow_swaps(one, [pod], lambda number: file_of(manifests, [*MODELS, f"acme/model-{20 + number}"], "5s"))
        one.swap(file_of(manifests, MODELS, "5s", top="modles: []\n"))
        (refused,) = pod.said.wait_for("config.rejected")
        before = len(sandbox.creates())
        until(lambda: len(sandbox.creates()) > before + len(MODELS), "beats after the refused edit", pod.said)
        assert pod.probe("readinessProbe")[0] == 200
        say(f"a broken ConfigMap: {refused['where']}: {refused['problem']}; ready, and its beats go on")

        one.swap(file_of(manifests, [*MODELS, SLOW], "5s"))
        until(lambda: pod.said.events("beat.sent", model=SLOW), "a beat that lasts", pod.said)
        limit = pod.container["resources"]["limits"]["memory"]
        say(f"memory: {pod.peak_bytes / 2**20:.0f} MiB at the most, of {limit}")
        assert pod.peak_bytes < int(limit.removesuffix("Mi")) * 2**20
        code, took_s = pod.terminate()
        say(
            f"SIGTERM with a beat out: exit code {code} after {took_s:.1f} s of {pod.grace_s:.0f}, "
            f"{sandbox.running()} running at the provider"
        )
        assert (code, sandbox.running()) == (0, 0)

        one.swap(file_of(manifests, MODELS, "5s"))
        for end in (Pod.kill, Pod.terminate):
            before = calls(sandbox)
            pod = one.start()
            until(partial(called_since, sandbox, before, MODELS), "a beat of each model", pod.said)
            end(pod)
        say("Recreate: a pod after it on the same volume, which is killed, and one more after that")
        add_up(sandbox, sqlite_of(one), every_s)
        keep_secrets(one)


def replicas(manifests: Manifests, folder: Path) -> None:
    """A Deployment of several: an edit, a roll-out, a node that is lost."""
    models, every_s = [f"acme/model-{number}" for number in range(20)], 4.0
    with provider(folder) as sandbox, server() as postgres:
        address = postgres.database(user=GUARDED)

        def file(*more: str) -> str:
            return file_of(manifests, [*models, *more], "4s", ledger=in_pods(address))

        with node(manifests, folder, sandbox, file(), postgres) as one:
            count = manifests.one("Deployment")["spec"]["replicas"]
            pods = [one.start() for _ in range(count)]
            say(f"{count} replicas, ready after {', '.join(f'{pod.ready():.1f} s' for pod in pods)}")
            answer_probes(pods[0])
            until(lambda: len(sandbox.creates()) > 4 * len(models), "beats")
            say(f"divided: {[len(pod.said.events('beat.sent')) for pod in pods]} beats")
            assert all(pod.said.events("beat.sent") for pod in pods)
            follow_swaps(one, pods, lambda number: file(f"acme/model-{30 + number}"))

            for old in list(pods):
                new = one.start()
                new.ready()
                code, took_s = old.terminate()
                assert code == 0, old.said.log.read_text()
                pods[pods.index(old)] = new
                say(f"rolled out: {old.name} left with {code} after {took_s:.1f} s, once {new.name} was ready")

            keep_pace(sandbox, every_s)
            dead, *living = pods
            dead.kill()
            at, before = time.monotonic(), calls(sandbox)
            until(lambda: called_since(sandbox, before, models), "a beat of each model")
            took_s = time.monotonic() - at
            say(f"one is killed: {len(living)} left, which have called for every model after {took_s:.1f} s")
            assert [pod.terminate()[0] for pod in living] == [0] * len(living)
            add_up(sandbox, address, every_s)
            keep_secrets(one)


def answer_probes(pod: Pod) -> None:
    """By address, as the kubelet asks; by the Service's name; and not by another name."""
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        until(lambda kind=kind: pod.probe(kind)[0], f"an answer to the {kind}", pod.said)
        status, body = pod.probe(kind)
        say(f"{kind}, asked for as {pod.network.address}: {status}")
        assert status == 200, body
    service = pod.node.manifests.one("Service")
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    inside = pod.port(service["spec"]["ports"][0]["targetPort"])
    full = f"{name}.{service['metadata']['namespace']}.svc:{port}"
    asked = {
        ("/", full): 200,
        ("/metrics", f"{pod.network.address}:{port}"): 200,
        ("/readyz", "localhost"): 200,  # kubectl port-forward
        ("/", "elsewhere.example"): 421,
    }
    for (path, host), wanted in asked.items():
        # Nobody is answered in time while a machine under load makes its first page.
        until(lambda path=path, host=host: pod.network.get(inside, path, host=host)[0], f"{path} of {host}", pod.said)
        status, body = pod.network.get(inside, path, host=host)
        say(f"{path}, asked for as {host}: {status}")
        assert status == wanted, body


def follow_swaps(one: Node, pods: Sequence[Pod], file: Callable[[int], str]) -> None:
    """Edits of the ConfigMap, each followed by all of them."""
    took_s = list[float]()
    for number in range(5):
        seen = [len(pod.said.events("config.reloaded")) for pod in pods]
        swapped_at = one.swap(file(number))
        for pod, before in zip(pods, seen, strict=True):
            until(lambda pod=pod, before=before: len(pod.said.events("config.reloaded")) > before, "an edit", pod.said)
        took_s.append(time.monotonic() - swapped_at)
        last = pods[0].said.events("config.reloaded")[-1]
        assert last["added"] and bool(last["removed"]) == (number > 0), last
    say(f"edits of the ConfigMap, in force after {', '.join(f'{each:.2f} s' for each in took_s)}")
    assert median(took_s) <= 1.0


def called_since(sandbox: Sandbox, before: dict[str, list[datetime]], models: Iterable[str]) -> bool:
    """Whether each was called again. A beat that a killed pod claimed, and perhaps sent, takes half a minute."""
    now = calls(sandbox)
    return all(len(now[slug]) > len(before[slug]) for slug in models)


def at_rest(pods: Sequence[Pod], sandbox: Sandbox) -> bool:
    """Whether each has begun, and nothing was sent for some seconds."""
    if not all(pod.said.lines() or pod.said.process.poll() is not None for pod in pods):
        return False
    before = len(sandbox.creates())
    time.sleep(3)
    return len(sandbox.creates()) == before and sandbox.running() == 0


def unlike(count: int) -> Iterator[tuple[int, int]]:
    """Pairs of pods of two jobs, of so many parts each, that have not the same part."""
    return ((one, other) for one in range(2 * count) for other in range(2 * count) if one % count != other % count)


def in_pods(address: str) -> str:
    """The address of a database as the pods reach it."""
    found = re.fullmatch(r"postgresql://(\w+)@/(\w+)\?.*", address)
    assert found is not None, address
    return f"postgresql://{found[1]}@127.0.0.1:{LEDGER}/{found[2]}"


SCENES = {scene.__name__: scene for scene in (jobs, shards, daemon, replicas)}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the lab's time is over: leave no pod
    with tempfile.TemporaryDirectory(prefix="warmer-lab-") as at:
        # Whoever a pod runs as has to get to its volumes.
        Path(at).chmod(0o755)
        SCENES[sys.argv[1]](Manifests(Path(sys.argv[2])), Path(at))
