# shellcheck shell=bash
# The units, as systemd-analyze and a manager that is played see them.

UNIT=$PWD/systemd/warmer.service
DROP_IN=$PWD/systemd/notify-reload.conf
HIGHEST_EXPOSURE=15 # in tenths: 1.5

systemd_packages() { needs systemd-analyze systemd; }
systemd_versions() { echo "systemd $(systemd_version systemd-analyze)"; }

systemd_version() { "$@" --version | awk 'NR == 1 { print $2 }'; }

# systemd-analyze from Debian's backports, from the mirror of this host; unpacked, not installed.
fetch_newer_systemd() {
  local codename mirror apt=$WORK/apt
  # shellcheck disable=SC1091 # every Debian has it
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016 # apt-get expands it
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $codename" 'Created-By: Packages' | head -1)
  mkdir -p "$apt"/{parts,lists/partial,cache/archives/partial} "$WORK/newer"
  touch "$apt/none"
  cat >"$apt/parts/backports.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $codename-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  local options=(-qq -o Acquire::Retries=3 -o APT::Sandbox::User=root
    -o Dir::Etc::SourceList="$apt/none" -o Dir::Etc::SourceParts="$apt/parts"
    -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache")
  apt-get "${options[@]}" update && cd "$apt" && apt-get "${options[@]}" download systemd libsystemd-shared || return
  for package in "$apt"/*.deb; do dpkg-deb --extract "$package" "$WORK/newer" || return; done
}

# A systemd-analyze that knows notify-reload: this host's, or the one fetched.
newer() {
  [ -d "$WORK/newer" ] || { systemd-analyze "$@"; return; }
  local library
  library=$(find "$WORK/newer" -name 'libsystemd-shared-*.so' | head -1)
  LD_LIBRARY_PATH=${library%/*} "$WORK/newer/usr/bin/systemd-analyze" "$@"
}

# verify ANALYZE [DROP-IN]: the unit, installed as systemd/README.md says, in a root directory of its own.
verify() {
  local root said
  root=$(mktemp -d "$WORK/root.XXXXXX")
  mkdir -p "$root"/{bin,etc/systemd/system/warmer.service.d,usr/lib/systemd,usr/local/bin}
  cp -a /usr/lib/systemd/system "$root/usr/lib/systemd/"
  cp /bin/kill "$root/bin/"
  install -m 755 "$BIN/warmer" "$root/usr/local/bin/warmer" || return
  cp "$UNIT" "$root/etc/systemd/system/"
  [ $# -eq 1 ] || cp "$2" "$root/etc/systemd/system/warmer.service.d/"
  # systemd-analyze ends 0 on a warning, and here a warning is a failure.
  said=$("$1" verify --man=no --root="$root" warmer.service 2>&1) && [ -z "$said" ] && return
  echo "$said"
  return 1
}

exposure() {
  systemd-analyze security --offline=true --threshold=$HIGHEST_EXPOSURE --no-pager "$UNIT" | grep -o 'Overall.*[0-9]'
}

probe() {
  mkdir -p "$WORK/state"
  "$BIN/python" tests/lab/confine.py "$UNIT" "$WORK/state" "$BIN/python" tests/lab/probe.py "$WORK/state"
}

systemd_checks() {
  check 'systemd takes warmer.service without a warning' verify systemd-analyze
  if [ "$(systemd_version systemd-analyze)" -lt 253 ]; then
    check 'a systemd that knows notify-reload is fetched' fetch_newer_systemd
  fi
  check "systemd $(systemd_version newer) takes it with notify-reload.conf too" verify newer "$DROP_IN"
  check 'systemd rates its exposure at 1.5 or better' exposure
  check 'confined by it, all that is needed works and the rest is refused' probe
  check 'the daemon, confined by it, under a manager that is played' "$BIN/python" tests/lab/service.py "$UNIT"
}
