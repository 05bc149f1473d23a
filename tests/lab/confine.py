"""Runs a command under what warmer.service allows, on a machine that systemd does not run.

Acted out, from the unit itself: SystemCallFilter, RestrictAddressFamilies, MemoryDenyWriteExecute, NoNewPrivileges, an
empty CapabilityBoundingSet, ProtectSystem=strict (the root file system read-only but for the state directory) and
ProcSubset=pid. Not acted out: the dynamic user, PrivateUsers, PrivateDevices, ProtectHome.

Usage, as root: python confine.py UNIT STATE_DIRECTORY COMMAND [ARGUMENT…]
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path

CLONE_NEWNS = 0x00020000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM  # SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM)
MASKED_EQUAL = 7  # SCMP_CMP_MASKED_EQ
SHM_EXEC = 0o100000

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p


class Compare(ctypes.Structure):
    """libseccomp's `struct scmp_arg_cmp`: argument number, operator, and one or two values."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class Filter:
    """A seccomp filter that treats a call by `default`, but for the rules added."""

    def __init__(self, default: int) -> None:
        self.context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))

    def rule(self, action: int, call: str, *compare: Compare) -> None:
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # else a call of another architecture
            array = (Compare * len(compare))(*compare)
            check(seccomp.seccomp_rule_add_array(self.context, ctypes.c_uint32(action), number, len(compare), array))

    def load(self) -> None:
        check(seccomp.seccomp_load(self.context))


def check(result: int) -> None:
    if result != 0:
        sys.exit(f"confine: the kernel refused ({os.strerror(ctypes.get_errno() or -result)}): run this as root")


def setting(unit: Path, key: str) -> list[str]:
    return [line.split("=", 1)[1] for line in unit.read_text("utf-8").splitlines() if line.startswith(f"{key}=")]


def calls_of(group: str) -> set[str]:
    """The system calls in one of systemd's groups, which nest."""
    shown = subprocess.run(["systemd-analyze", "syscall-filter", group], check=True, capture_output=True, text=True)
    words = {line.strip() for line in shown.stdout.splitlines()[1:] if line.strip() and line.strip()[0] != "#"}
    nested = {word for word in words if word.startswith("@")}
    return (words - nested).union(*(calls_of(group) for group in nested))


def keep_one_directory_writable(state: Path) -> None:
    check(libc.unshare(CLONE_NEWNS))
    for arguments in (
        ["--make-rprivate", "/"],
        ["--bind", str(state), str(state)],
        ["-o", "remount,bind,ro", "/"],
        ["-t", "proc", "-o", "subset=pid", "proc", "/proc"],
    ):
        subprocess.run(["mount", *arguments], check=True)


def drop_privileges() -> None:
    """Leaves root without a capability once it executes the command."""
    for capability in range(64):  # all that a kernel can have; it refuses the numbers it does not know
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def filters(unit: Path) -> list[Filter]:
    families, memory, calls = Filter(ALLOW), Filter(ALLOW), Filter(REFUSE)

    known = {int(getattr(socket, name)) for name in " ".join(setting(unit, "RestrictAddressFamilies")).split()}
    for family in set(range(socket.AF_VSOCK + 1)) - known:
        families.rule(REFUSE, "socket", Compare(0, MASKED_EQUAL, 0xFFFFFFFF, family))

    if setting(unit, "MemoryDenyWriteExecute") == ["yes"]:
        both = mmap.PROT_WRITE | mmap.PROT_EXEC
        memory.rule(REFUSE, "mmap", Compare(2, MASKED_EQUAL, both, both))
        for call in ("mprotect", "pkey_mprotect"):
            memory.rule(REFUSE, call, Compare(2, MASKED_EQUAL, mmap.PROT_EXEC, mmap.PROT_EXEC))
        memory.rule(REFUSE, "shmat", Compare(2, MASKED_EQUAL, SHM_EXEC, SHM_EXEC))

    allowed: set[str] = set()
    for line in setting(unit, "SystemCallFilter"):
        named = set().union(*(calls_of(group) for group in line.lstrip("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    for call in allowed:
        calls.rule(ALLOW, call)
    return [families, memory, calls]  # the strictest last: it would refuse to load another


def main(unit: Path, state: Path, *command: str) -> None:
    ready = filters(unit)
    keep_one_directory_writable(state)
    drop_privileges()
    for each in ready:
        each.load()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
