"""Plays a container's runtime to the image: a user that nobody knows, a root that is read-only, process 1.

What is run is what the image says of itself: its environment, its command, its health check. The daemon must become
ready, send a beat to the sandbox, be well by the health check, and leave when told to.

Usage, as root: python contained.py ROOT INSPECTED
ROOT is the image's file system, INSPECTED what `buildah inspect` says of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.ports import free_port
from service import BIN, PATIENCE_S, TOKEN, await_true, events, running, say

# Nothing of this is seen outside of the new mount namespace, and nothing remains.
RUN = """
set -e
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$files" "$root/etc/warmer"
mount --bind -o remount,ro "$root/etc/warmer"
mount --bind "$state" "$root/var/lib/warmer"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero random urandom; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro "$root"
cd "$root"
exec setpriv --no-new-privs env -i "${given[@]}" chroot --userspec="$who:$who" --groups= "$root" "$@"
"""
FILE = """\
timezone: Europe/Berlin
listen: 127.0.0.1:{port}
replicate: {{base_url: "{address}/v1"}}
models: [{{model: replicate/hello-world, hardware: cpu, policy: fixed, every: 2s}}]
"""
UNWRITABLE = """
import errno, os, sys
for folder in ("/", "/tmp", "/opt/warmer", "/etc/warmer", "/var/lib", sys.prefix):
    try:
        open(os.path.join(folder, "probe"), "w").close()
    except OSError as error:
        assert error.errno == errno.EROFS, f"{folder}: {error}"
    else:
        sys.exit(f"{folder} can be written")
assert os.getuid() > 100_000 and not set(os.getgroups()) - {os.getgid()}, "who is this?"
assert os.getpid() == 1, "a process of others is seen"
"""


@dataclass(frozen=True)
class Image:
    root: Path
    environment: tuple[str, ...]  # NAME=value
    command: tuple[str, ...]  # of a container that is told nothing
    health: tuple[str, ...]

    @classmethod
    def read(cls, root: Path, inspected: Path) -> Image:
        told = json.loads(inspected.read_text("utf-8"))["Docker"]["config"]
        kind, *health = told["Healthcheck"]["Test"]
        assert kind == "CMD", f"{kind} needs a shell"
        user = told["User"]
        assert user.partition(":")[0].isdigit(), f"a cluster cannot tell that {user!r} is not root"
        assert user.partition(":")[0] != "0"
        return cls(root, tuple(told["Env"]), (*told["Entrypoint"], *told["Cmd"]), tuple(health))


@dataclass(frozen=True)
class Container:
    image: Image
    files: Path
    state: Path
    who: int

    def starting(self, command: Sequence[str], **more: str) -> list[str]:
        """What runs `command` in it, as process 1."""
        given = [*self.image.environment, "HOME=/", *(f"{name}={value}" for name, value in more.items())]
        known = {"root": self.image.root, "files": self.files, "state": self.state, "who": self.who}
        settings = "".join(f"{name}='{value}'\n" for name, value in known.items())
        settings += "given=(" + " ".join(f"'{each}'" for each in given) + ")\n"
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*namespaces, "bash", "-c", settings + RUN, "run", *command]

    def run(self, command: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
        started = self.starting(command, **more)
        return subprocess.run(started, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def first_process(process: subprocess.Popen[bytes]) -> int:
    """Process 1 of the namespace that `process` has made, as it is called outside."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
    assert len(children) == 1, children
    return int(children[0])


def main(image: Image, home: Path) -> None:
    home.chmod(0o755)
    who = random.SystemRandom().randint(200_000, 2_000_000)
    files, state, sandbox_output, journal = (home / name for name in ("files", "state", "sandbox", "journal"))
    files.mkdir()
    state.mkdir()
    os.chown(state, who, who)
    container, port = Container(image, files, state, who), free_port()

    probed = container.run(["python3", "-c", UNWRITABLE])
    assert probed.returncode == 0, probed.stderr
    say(f"user {who}, without a name, a home or a group; its root, /tmp and all that is installed cannot be written")

    sandbox = [str(BIN / "warmer"), "sandbox", "--port", "0", "--speed", "20"]
    with running(sandbox, sandbox_output, PATH=os.environ["PATH"]) as look_alike:
        await_true(lambda: "listening http" in sandbox_output.read_text("utf-8"), "the sandbox listening", look_alike)
        address = next(word for word in sandbox_output.read_text("utf-8").split() if word.startswith("http"))
        (files / "warmer.yaml").write_text(FILE.format(address=address, port=port), "utf-8")

        # As where the system has no time zones at all.
        checked = container.run(["warmer", "check"], PYTHONTZPATH="")
        assert checked.returncode == 0, checked.stderr
        assert "Europe/Berlin" in checked.stdout
        say("time zones are its own")

        silent = container.run(image.health)
        assert silent.returncode == 1, f"{silent.stdout}{silent.stderr}"

        began = time.monotonic()
        command = container.starting(image.command, REPLICATE_API_TOKEN=TOKEN)
        with running(command, journal, PATH=os.environ["PATH"]) as process:
            await_true(lambda: "daemon.ready" in events(journal), "daemon.ready in the log", process)
            say(f"`{' '.join(image.command)}` is ready {time.monotonic() - began:.1f} s after its start")
            well = container.run(image.health)
            assert well.returncode == 0, f"{well.stdout}{well.stderr}"
            say(f"its health check, `{' '.join(image.health)}`, before the start and now: 1, {well.returncode}")
            await_true(lambda: "beat.done" in events(journal), "a beat.done in the log", process)
            assert (state / "ledger.db").stat().st_uid == who
            say("a beat is done; the ledger is in the volume")
            os.kill(first_process(process), signal.SIGTERM)
            status = process.wait(PATIENCE_S)
            assert status == 0, f"exit status {status} after SIGTERM"
            assert events(journal)[-1] == "daemon.stopped"
            say("SIGTERM: exit status 0")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="warmer-lab-") as folder:
        main(Image.read(Path(sys.argv[1]), Path(sys.argv[2])), Path(folder))
