"""A node that starts pods by their manifests, and whatever else a cluster does to them."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ctypes import CDLL
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from harness.processes import Daemon
from pod import Container

CLONE_NEWNET = 0x40000000
ANY_UID = 1_000_660_003
"""As a platform hands them out that takes the user of a pod out of a range of its own; the group is 0 there."""
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
"""For anything that must happen: a machine under load is slow, not wrong."""
_libc = CDLL(None, use_errno=True)


class Manifests:
    """What `kubectl kustomize` prints, by kind."""

    def __init__(self, rendered: Path) -> None:
        self._all: list[dict[str, Any]] = list(yaml.safe_load_all(rendered.read_text("utf-8")))

    def one(self, kind: str) -> dict[str, Any]:
        """The only object of that kind."""
        (found,) = (each for each in self._all if each["kind"] == kind)
        return found

    @property
    def pod(self) -> dict[str, Any]:
        """The `spec` of the pods."""
        for each in self._all:
            if each["kind"] == "Deployment":
                return dict(each["spec"]["template"]["spec"])
            if each["kind"] == "CronJob":
                return dict(each["spec"]["jobTemplate"]["spec"]["template"]["spec"])
        raise LookupError("no manifest starts pods")

    @property
    def file(self) -> dict[str, Any]:
        """What is in the ConfigMap."""
        found: dict[str, Any] = yaml.safe_load(self.one("ConfigMap")["data"]["warmer.yaml"])
        return found


class Published:
    """A volume of files that are swapped all at once: a ConfigMap or a Secret, as the kubelet writes them.

    Source: `AtomicWriter` in Kubernetes' pkg/volume/util/atomic_writer.go.
    """

    def __init__(self, folder: Path, files: Mapping[str, str], *, mode: int = 0o644, group: int = 0) -> None:
        self.folder, self._mode, self._group, self._count = folder, mode, group, itertools.count()
        folder.mkdir(parents=True)
        self.swap(files)
        for name in files:
            (folder / name).symlink_to(f"..data/{name}")

    def swap(self, files: Mapping[str, str]) -> float:
        """Put these files in the place of the others; when that was (monotonic)."""
        dated = self.folder / time.strftime(f"..%Y_%m_%d_%H_%M_%S.{next(self._count)}")
        dated.mkdir()
        for name, text in files.items():
            (dated / name).write_text(text, "utf-8")
            (dated / name).chmod(self._mode)
            os.chown(dated / name, 0, self._group)
        data, old = self.folder / "..data", (self.folder / "..data").resolve()
        (self.folder / "..data_tmp").symlink_to(dated.name)
        (self.folder / "..data_tmp").rename(data)
        swapped_at = time.monotonic()
        if old.name != "..data":
            shutil.rmtree(old)
        return swapped_at


class Network:
    """A network of a pod's own, with one address. What is run `inside` of it is in it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._inside = ThreadPoolExecutor(1, initializer=self._enter)

    def inside(self, what: Callable[[], Any]) -> Any:
        return self._inside.submit(what).result(PATIENCE_S)

    def forward(self, port: int, connect: Callable[[], socket.socket]) -> None:
        """Who asks for that port of the pod's own loopback address is connected so, outside."""
        listening: socket.socket = self.inside(lambda: socket.create_server(("127.0.0.1", port), backlog=64))
        threading.Thread(target=self._serve, args=(listening, connect), daemon=True).start()

    def get(self, port: int, path: str, *, host: str | None = None) -> tuple[int, str]:
        """Status and body, asked for at the pod's address, as the kubelet asks: `host` is that address by default.

        Status 0: there was no answer.
        """

        def ask() -> tuple[int, str]:
            asking = http.client.HTTPConnection(self.address, port, timeout=PATIENCE_S / 4)
            try:
                asking.request("GET", path, headers={} if host is None else {"Host": host})
                reply = asking.getresponse()
                return reply.status, reply.read().decode()
            except OSError as refused:
                return 0, str(refused)
            finally:
                asking.close()

        found: tuple[int, str] = self.inside(ask)
        return found

    def _enter(self) -> None:
        # Of this thread alone, and of the processes it starts.
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise PermissionError("a network of its own was refused: run this as root")
        for command in (["link", "set", "lo", "up"], ["address", "add", f"{self.address}/32", "dev", "lo"]):
            subprocess.run(["ip", *command], check=True)

    def _serve(self, listening: socket.socket, connect: Callable[[], socket.socket]) -> None:
        while True:
            near, _ = listening.accept()
            try:
                far = connect()
            except OSError:
                near.close()
                continue
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class Pod:
    """One that runs, or has run."""

    def __init__(self, node: Node, name: str, number: int, environment: Mapping[str, str]) -> None:
        self.node, self.name = node, name
        self.spec = node.manifests.pod
        self.network = Network(f"10.244.0.{number}")
        for port, connect in node.reaches.items():
            self.network.forward(port, connect)
        self._environment = environment
        self._count = itertools.count()
        self.began = time.monotonic()
        (container,) = self.spec["containers"]
        self.container = container
        self._process, self._pid_file, log = self._run([*container["command"], *container.get("args", [])])
        self.said = Daemon(self._process, log)  # type: ignore[arg-type] # a Popen has what is asked of it

    @property
    def grace_s(self) -> float:
        return float(self.spec["terminationGracePeriodSeconds"])

    def execute(self, *command: str) -> str:
        """What another process prints in a container like this one, with the same rights and volumes."""
        process, _, log = self._run(list(command))
        code = process.wait(PATIENCE_S)
        assert code == 0, f"{code}: {log.read_text()}"
        return log.read_text()

    def signal(self, number: signal.Signals) -> None:
        """To its first process."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def terminate(self) -> tuple[int, float]:
        """As a node ends a pod: SIGTERM, and SIGKILL after its grace. The exit code, and how long it took."""
        begun = time.monotonic()
        self.signal(signal.SIGTERM)
        try:
            code = self._process.wait(self.grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait(PATIENCE_S)
        return code, time.monotonic() - begun

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait(PATIENCE_S)

    def wait(self, within_s: float) -> int:
        return self._process.wait(within_s)

    def probe(self, kind: str) -> tuple[int, str]:
        """What that probe is answered now."""
        asks = self.container[kind]["httpGet"]
        return self.network.get(self.port(asks["port"]), asks["path"])

    def port(self, name: str) -> int:
        (found,) = (one["containerPort"] for one in self.container["ports"] if one["name"] == name)
        return int(found)

    def ready(self) -> float:
        """Wait until its probes say so; seconds since it began."""
        for kind in ("startupProbe", "readinessProbe"):
            until(lambda kind=kind: self.probe(kind)[0] == 200, f"{self.name}: {kind}", self.said)
        return time.monotonic() - self.began

    @property
    def pid(self) -> int:
        """Of its first process, as this machine counts."""
        until(lambda: self._pid_file.exists() and self._pid_file.read_text(), f"{self.name}: a process", self.said)
        return int(self._pid_file.read_text())

    @property
    def peak_bytes(self) -> int:
        status = Path("/proc", str(self.pid), "status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    def _run(self, command: list[str]) -> tuple[subprocess.Popen[bytes], Path, Path]:
        folder = self.node.folder / f"{self.name}-{next(self._count)}"
        (folder / "root").mkdir(parents=True)
        pid_file, log, told = folder / "pid", folder / "log.jsonl", folder / "container.json"
        log.touch()
        mine, pods = self.container["securityContext"], self.spec["securityContext"]
        aliases = "".join(f"{each['ip']}\t{' '.join(each['hostnames'])}\n" for each in self.spec.get("hostAliases", []))
        made = Container(
            root=str(folder / "root"),
            image=sorted({str(ROOT), sys.prefix, sys.base_prefix} - {"/usr"}),
            volumes=[
                (str(self.node.volumes[each["name"]]), each["mountPath"], bool(each.get("readOnly")))
                for each in self.container["volumeMounts"]
            ],
            hosts=f"127.0.0.1\tlocalhost\n{self.network.address}\t{self.name}\n{aliases}",
            hostname=self.name,
            pid_file=str(pid_file),
            command=command,
            environment={
                "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
                "HOME": "/",  # what runtimes give a user that the image does not know
                "HOSTNAME": self.name,
                **self._environment,
                **{each["name"]: each["value"] for each in self.container.get("env", [])},
            },
            uid=self.node.uid,
            gid=0 if self.node.uid != pods["runAsUser"] else pods["runAsGroup"],
            groups=[pods["fsGroup"]],
            is_read_only=mine["readOnlyRootFilesystem"],
            may_gain=mine["allowPrivilegeEscalation"],
            keeps_capabilities=mine["capabilities"] != {"drop": ["ALL"]},
        )
        told.write_text(json.dumps(asdict(made)))
        starts = [sys.executable, str(Path(__file__).with_name("pod.py")), str(told)]
        with log.open("ab") as output:
            process: subprocess.Popen[bytes] = self.network.inside(
                lambda: subprocess.Popen(starts, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            )
        return process, pid_file, log


class Node:
    """Where the pods of one variant run; their volumes stay when they go."""

    def __init__(
        self, folder: Path, manifests: Manifests, file: str, secrets: Mapping[str, str], *, uid: int = ANY_UID
    ) -> None:
        """`file` is what the ConfigMap holds. A secret that the manifest asks for has to be among `secrets`."""
        self.folder, self.manifests, self.uid = folder, manifests, uid
        self.reaches: dict[int, Callable[[], socket.socket]] = {}
        """Ports of a pod's own loopback address, and what is behind each."""
        self.volumes: dict[str, Path] = {}
        self.pods: list[Pod] = []
        self._numbers = itertools.count(1)
        group = manifests.pod["securityContext"]["fsGroup"]
        for volume in manifests.pod["volumes"]:
            place = folder / "volumes" / volume["name"]
            self.volumes[volume["name"]] = place
            match volume:
                case {"configMap": {"name": name}}:
                    assert name == manifests.one("ConfigMap")["metadata"]["name"]
                    self.config_map = Published(place, {"warmer.yaml": file})
                case {"secret": {"items": items, "defaultMode": mode}}:
                    files = {item["path"]: secrets[item["key"]] for item in items}
                    Published(place, files, mode=mode, group=group)
                case {"persistentVolumeClaim": {"claimName": name}}:
                    assert name == manifests.one("PersistentVolumeClaim")["metadata"]["name"]
                    self._writable(place, 0o2770, group)
                case {"emptyDir": _}:
                    self._writable(place, 0o2777, group)
                case _:
                    raise LookupError(f"no node here makes this volume: {volume}")

    def start(self, **environment: str) -> Pod:
        """One more pod."""
        number = next(self._numbers)
        made = Pod(self, f"warmer-{number}", number, environment)
        self.pods.append(made)
        return made

    def swap(self, file: str) -> float:
        """Another file in the ConfigMap, there at that moment (monotonic)."""
        return self.config_map.swap({"warmer.yaml": file})

    def close(self) -> None:
        """No pod is left."""
        for each in self.pods:
            if each.said.process.poll() is None:
                each.kill()

    def _writable(self, place: Path, mode: int, group: int) -> None:
        place.mkdir(parents=True)
        os.chown(place, 0, group)
        place.chmod(mode)


def until(happened: Callable[[], Any], what: str, said: Daemon | None = None, within_s: float = PATIENCE_S) -> None:
    """Wait for it, and end with what was waited for where it does not come."""
    end = time.monotonic() + within_s
    try:
        while not happened():
            if said is not None and said.process.poll() is not None:
                sys.exit(f"ended with {said.process.poll()} before this was seen: {what}\n{said.log.read_text()}")
            if time.monotonic() > end:
                sys.exit(f"not seen in {within_s:.0f} s: {what}\n{said.log.read_text() if said is not None else ''}")
            time.sleep(0.02)
    except json.JSONDecodeError:
        sys.exit(f"what is no line of the log was said before this was seen: {what}\n{said and said.log.read_text()}")
