# shellcheck shell=bash
# The units, as systemd-analyze and a manager that is played see them.

UNIT=$PWD/systemd/warmer.service
RATED='warmer.service warmer@shop.service warmer-once.service' # of a template, one of its instances
HIGHEST_EXPOSURE=15 # in tenths: 1.5

systemd_packages() { needs systemd-analyze systemd; }
systemd_versions() { echo "systemd $(systemd_version systemd-analyze)"; }

systemd_version() { "$@" --version | awk 'NR == 1 { print $2 }'; }

# systemd-analyze from Debian's backports.
fetch_newer_systemd() { unpacked "$WORK/newer" "$(codename)-backports" systemd libsystemd-shared; }

# A systemd-analyze that knows the drop-in: this host's, or the one fetched.
newer() {
  [ -d "$WORK/newer" ] || { systemd-analyze "$@"; return; }
  local library
  library=$(find "$WORK/newer" -name 'libsystemd-shared-*.so' | head -1)
  LD_LIBRARY_PATH=${library%/*} "$WORK/newer/usr/bin/systemd-analyze" "$@"
}

# A root directory with the units as `make install` puts them there for a systemd of that version.
units_for() {
  local root=$WORK/root.$1
  [ -d "$root" ] || {
    mkdir -p "$root"/{bin,usr/lib/systemd,usr/local/bin} &&
      cp -a /usr/lib/systemd/system "$root/usr/lib/systemd/" &&
      cp /bin/kill "$root/bin/" &&
      install -m 755 "$BIN/warmer" "$root/usr/local/bin/warmer" &&
      make --silent install-units DESTDIR="$root" SYSTEMD="$1" >/dev/null || return
  }
  echo "$root"
}

# verify VERSION ANALYZE: systemd of that version, on the units that are for it.
verify() {
  local root said
  root=$(units_for "$1") || return
  # systemd-analyze ends 0 on a warning, and here a warning is a failure.
  # shellcheck disable=SC2086 # words
  said=$("$2" verify --man=no --root="$root" $RATED warmer-once.timer 2>&1) && [ -z "$said" ] && return
  echo "$said"
  return 1
}

# Of each unit by itself: without a drop-in.
exposure() {
  local root unit
  root=$(units_for 252) || return
  for unit in $RATED; do
    echo -n "$unit: "
    systemd-analyze security --offline=true --root="$root" --threshold=$HIGHEST_EXPOSURE --no-pager "$unit" |
      grep -o 'exposure level.*[0-9]' || return
  done
}

probe() {
  mkdir -p "$WORK/state"
  "$BIN/python" tests/lab/confine.py "$UNIT" "$WORK/state" "$BIN/python" tests/lab/probe.py "$WORK/state"
}

systemd_checks() {
  local version
  version=$(systemd_version systemd-analyze)
  check "systemd $version takes every unit without a warning" verify "$version" systemd-analyze
  if [ "$version" -lt 254 ]; then
    check 'a systemd that knows all of the drop-in is fetched' fetch_newer_systemd
    version=$(systemd_version newer)
    check "systemd $version takes them with systemd-254.conf too" verify "$version" newer
  fi
  check 'systemd rates the exposure of each at 1.5 or better' exposure
  check 'confined as warmer.service, all that is needed works and the rest is refused' probe
  check 'the daemon, confined by it, under a manager that is played' "$BIN/python" tests/lab/service.py "$UNIT"
}
