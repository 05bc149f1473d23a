# shellcheck shell=bash
# A Debian of its own with systemd as its first process, in a container without a network: what docs/operations.md says is
# typed there, and the units do their work.

MACHINE_SUITE=${MACHINE_SUITE:-trixie} # the first whose systemd knows all that the units say; bookworm has the oldest that will do
MACHINE=$WORK/machine
MACHINE_GROUP=warmer-lab.$$
MACHINE_HOME=/home/you/warmer # the checkout there
WHEELS=$MACHINE/wheels

machine_packages() {
  needs systemd-nspawn systemd-container
  needs mmdebstrap mmdebstrap
}
machine_versions() { echo "systemd-nspawn $(systemd-nspawn --version | awk 'NR == 1 { print $2 }'), $(mmdebstrap --version)"; }

# With the programs that a reader of the page has. What it mounts meanwhile is this host's own: nobody else may see it, least
# of all who clears up.
debian_made() {
  unshare --mount --propagation private mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include=systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,procps \
    --include=sudo,make,curl,sqlite3 \
    "$MACHINE_SUITE" "$MACHINE" "$(mirror)" || return
  echo machine >"$MACHINE/etc/hostname"
  echo '127.0.0.1 localhost machine' >"$MACHINE/etc/hosts"
  in_folder python3 --version
}

in_folder() { chroot "$MACHINE" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"; }

# What pip needs there: from where this host's pip gets it.
wheels_fetched() {
  local version
  version=$(in_folder python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') || return
  mkdir -p "$WHEELS"
  "$BIN/python" -m pip wheel -qq --no-deps --wheel-dir "$WHEELS" . || return
  "$BIN/python" -m pip download -qq --only-binary=:all: --python-version "$version" --dest "$WHEELS" \
    "$(echo "$WHEELS"/warmer-*.whl)[sandbox,postgres,alerts]" 'hatchling>=1.26' || return
  printf '[global]\nno-index = true\nfind-links = /wheels\ndisable-pip-version-check = true\n' >"$MACHINE/etc/pip.conf"
  echo "for Python $version: $(find "$WHEELS" -name '*.whl' | wc -l) wheels, $(basename "$WHEELS"/warmer-*.whl) among them"
}

# The checkout and somebody who may use sudo.
reader_moves_in() {
  in_folder useradd --create-home --shell /bin/bash you &&
    echo 'you ALL=(ALL) NOPASSWD: ALL' >"$MACHINE/etc/sudoers.d/you" &&
    copied_to "$MACHINE$MACHINE_HOME" &&
    in_folder chown -R you: "$MACHINE_HOME"
}

# Ends with this shell, however that ends. In a mount namespace, where the cgroups are those of a new machine whatever the
# host has, and the folder may hold sudo wherever it is.
start_machine() {
  # shellcheck disable=SC2016 # the inner bash expands it
  setsid setpriv --pdeathsig KILL unshare --mount --propagation private --fork --kill-child bash -ec '
    mount -t cgroup2 none /sys/fs/cgroup
    mkdir "/sys/fs/cgroup/$MACHINE_GROUP"
    echo $$ >"/sys/fs/cgroup/$MACHINE_GROUP/cgroup.procs"
    mount --bind "$MACHINE" "$MACHINE"
    mount -o remount,bind,suid,dev,exec "$MACHINE"
    exec systemd-nspawn --quiet -D "$MACHINE" --boot --register=no --keep-unit --private-network --console=pipe
  ' </dev/null >"$WORK/console" 2>&1 &
  machine=$!
}

# Its first process, as this host counts.
machine_pid() {
  local nspawn
  nspawn=$(pgrep --parent "$machine") && pgrep --parent "$nspawn" --exact systemd
}

inside() {
  nsenter --target "$(machine_pid)" --mount --uts --ipc --net --pid -- \
    setsid --wait env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
}

booted() {
  local tries=0
  until machine_pid >/dev/null && inside test -S /run/systemd/private; do
    if [ $((tries += 1)) -gt 300 ] || ! kill -0 "$machine"; then
      tail -n 30 "$WORK/console"
      return 1
    fi
    sleep 0.2
  done 2>/dev/null
  inside timeout 120 systemctl is-system-running --wait || inside systemctl --failed --no-legend --plain
  inside systemctl --version | head -1
}

# Leaves no process and no cgroup; the folder is the lab's.
machine_ends() {
  [ -n "${machine:-}" ] || return 0
  # shellcheck disable=SC2016 # the inner bash expands it
  unshare --mount --propagation private timeout 30 bash -c '
    mount -t cgroup2 none /sys/fs/cgroup && cd "/sys/fs/cgroup/$MACHINE_GROUP" || exit 0
    echo 1 >cgroup.kill
    while grep -q "populated 1" cgroup.events; do sleep 0.1; done
    find "$PWD" -depth -type d -exec rmdir {} +
  '
  wait "$machine"
  machine=
} 2>/dev/null

sandbox_runs() {
  inside python3 -m venv /opt/sandbox && inside /opt/sandbox/bin/pip install --quiet 'warmer[sandbox]' &&
    inside cp "$MACHINE_HOME/tests/lab/world.toml" /opt/sandbox/ &&
    inside systemd-run --quiet --unit=sandbox --property=DynamicUser=yes \
      /opt/sandbox/bin/warmer sandbox --port 8400 --world /opt/sandbox/world.toml &&
    inside curl --silent --fail --retry 30 --retry-delay 1 --retry-connrefused --output /dev/null \
      http://127.0.0.1:8400/sandbox/clock && inside /opt/sandbox/bin/warmer --version
}

# page WHERE: the blocks of docs/operations.md for that place, typed by somebody who is not root.
page() {
  inside runuser -u you -- env HOME=/home/you bash -c 'cd "$1" && python3 tests/lab/blocks.py docs/operations.md --where "$2"' \
    page "$MACHINE_HOME" "$1"
}

does() { inside python3 "$MACHINE_HOME/tests/lab/machine.py" "$@"; }

machine_checks() {
  local before=$failed
  check "a Debian ($MACHINE_SUITE) is made" debian_made
  check 'a wheel is built, and what it needs is fetched' wheels_fetched
  check 'somebody moves in with the checkout' reader_moves_in
  start_machine
  check 'its systemd boots' booted
  check 'the sandbox runs there' sandbox_runs
  [ "$failed" -eq "$before" ] || return # nothing below could be told from this
  check 'docs/operations.md: every block, typed as it stands' page machine
  check 'the unit, as for systemd 252: started means READY' does ready
  check 'beats are in the journal as JSON, and at the host' does beats
  check '`systemctl reload` takes an edit' does reload
  check 'a wrong file makes it fail, and changes nothing' does wrong_file
  if [ -d "$MACHINE/usr/local/lib/systemd/system/warmer@.service.d" ]; then # `make install` saw a systemd that knows it
    check 'with systemd-254.conf, reload returns when the edit is in force' does notify_reload
  fi
  check 'two accounts at once: a user, a ledger and a token each' does accounts
  check 'kill -9 with a beat out: restarted, and the beat picked up' does killed
  check 'a frozen loop is ended by the watchdog, and restarted' does frozen
  check 'the timer fires and beats, also beside the service' does timer
  check 'the exposure of what runs is 1.5 or better' does exposure
  check 'no token in what systemd shows, in an environment, or in the journal' does token
  check 'it stops cleanly, with nothing left running' does stopped
  check 'in all that time the host ran no two beats of a model at once, and none is on record twice' does nothing_twice
  check 'docs/operations.md: and gone again' page machine-leaves
}
