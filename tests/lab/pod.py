"""Runs a container as a node does: what the kubelet and its runtime make of a pod, on a machine that has neither.

Namespaces of its own for mounts, processes and the host name (the network is the caller's); this machine's programs as
its image, read-only where the manifest says so; the pod's volumes; its user, groups and capabilities, and no way to
more. Not acted out: the seccomp profile, the limits of processor and memory.

Usage, as root: python pod.py CONTAINER.json
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x00020000, 0x04000000, 0x08000000, 0x20000000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
FROM_ETC = ("ld.so.cache", "nsswitch.conf", "passwd", "group", "ssl", "localtime")
DEVICES = ("null", "zero", "full", "random", "urandom")

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Container:
    """What a node knows of a container when it starts it."""

    root: str  # an empty folder, to be its root
    image: list[str]  # folders of this machine that it has besides the programs, read-only
    volumes: list[tuple[str, str, bool]]  # folder here, folder there, whether it is read-only
    hosts: str  # its /etc/hosts
    hostname: str
    pid_file: str  # gets the number of its first process, as this machine counts
    command: list[str]
    environment: dict[str, str]
    uid: int
    gid: int
    groups: list[int]
    is_read_only: bool
    may_gain: bool  # privileges, by programs that give them
    keeps_capabilities: bool


def check(result: int) -> None:
    if result != 0:
        sys.exit(f"pod: the kernel refused ({os.strerror(ctypes.get_errno())}): run this as root")


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def bind(source: Path, target: Path, *, read_only: bool = True) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.touch()
    mount("--bind", str(source), str(target))
    if read_only:
        mount("-o", "remount,bind,ro", str(target))


def lay_out(root: Path, hosts: str) -> None:
    """The machine's programs, and otherwise the folders that any image has, empty."""
    mount("-t", "tmpfs", "-o", "mode=755", "image", str(root))
    for name in ("bin", "lib", "lib64", "sbin"):
        if (own := Path("/", name)).is_symlink():
            (root / name).symlink_to(own.readlink())
        elif own.exists():
            bind(own, root / name)
    bind(Path("/usr"), root / "usr")
    for name in ("etc", "home", "root", "run", "var", "var/lib", "tmp", "dev", "dev/shm", "proc"):
        (root / name).mkdir()
    for name in FROM_ETC:
        if (own := Path("/etc", name)).exists():
            bind(own.resolve(), root / "etc" / name)
    (root / "etc" / "hosts").write_text(hosts)
    for name in DEVICES:
        bind(Path("/dev", name), root / "dev" / name, read_only=False)
    (root / "dev" / "fd").symlink_to("/proc/self/fd")
    mount("-t", "tmpfs", "-o", "mode=1777", "shm", str(root / "dev" / "shm"))
    mount("-t", "proc", "proc", str(root / "proc"))


def begin(container: Container) -> None:
    """In namespaces of its own: become the container's first process."""
    root = Path(container.root)
    mount("--make-rprivate", "/")
    lay_out(root, container.hosts)
    for source, target, read_only in container.volumes:
        bind(Path(source), root / target.lstrip("/"), read_only=read_only)
    for folder in container.image:
        bind(Path(folder), root / folder.lstrip("/"))
    if container.is_read_only:
        mount("-o", "remount,ro", str(root))
    hostname = container.hostname.encode()
    check(libc.sethostname(hostname, len(hostname)))
    os.chroot(root)
    os.chdir("/")
    if not container.keeps_capabilities:
        for capability in range(64):  # all that a kernel can have; it refuses the numbers it does not know
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups(container.groups)
    os.setresgid(container.gid, container.gid, container.gid)
    os.setresuid(container.uid, container.uid, container.uid)
    if not container.may_gain:
        check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    os.execvpe(container.command[0], container.command, container.environment)


def main(container: Container) -> int:
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID))
    pid = os.fork()
    if pid == 0:
        begin(container)
    Path(container.pid_file).write_text(str(pid))
    _, status = os.waitpid(pid, 0)
    # As runtimes tell of a process that was ended by a signal.
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


if __name__ == "__main__":
    told: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.exit(main(Container(**told)))
