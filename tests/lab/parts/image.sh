# shellcheck shell=bash
# The image: built on this host's Debian, started by a user that nobody knows on a root that cannot be written.

BUILDS=localhost/warmer-lab-builds # with a shell
RUNS=localhost/warmer-lab-runs     # without
IMAGE=localhost/warmer-lab
MOST_MB=200

image_packages() {
  needs buildah buildah
  needs mmdebstrap mmdebstrap
}
image_versions() { echo "buildah $(buildah --version | cut -d' ' -f3), mmdebstrap $(mmdebstrap --version | cut -d' ' -f2)"; }

in_storage() { buildah --root "$WORK/images" --runroot "$WORK/running" --storage-driver vfs "$@"; }

# debian_image NAME PACKAGE…: these, what they need, and nothing else, as of this host's Debian and from its mirror.
debian_image() {
  local name=$1 packages container
  shift
  packages=$(IFS=,; echo "$*")
  mmdebstrap --quiet --variant=extract --include="$packages" --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$(codename)" "$WORK/debian.tar" "$(mirror)" &&
    container=$(in_storage from scratch) &&
    in_storage add --quiet "$container" "$WORK/debian.tar" / >/dev/null &&
    mkdir -p "$(in_storage mount "$container")"/{dev,proc,sys,tmp} &&
    in_storage config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container" &&
    in_storage commit --quiet --rm "$container" "$name" >/dev/null && rm "$WORK/debian.tar" &&
    echo "Debian $(codename): $*"
}

bases_imported() {
  debian_image "$BUILDS" python3-venv dash coreutils findutils && debian_image "$RUNS" python3 ca-certificates libstdc++6
}

# What pip of this host is configured to find, put where the build finds it: so that no index is named here.
image_built() {
  mkdir -p "$WORK/wheels" && printf '[global]\nno-index = true\nfind-links = /wheels\n' >"$WORK/pip.conf" &&
    "$BIN/python" -m pip download --quiet --quiet --quiet --only-binary :all: --require-hashes -r requirements.lock -d "$WORK/wheels" &&
    "$BIN/python" -m pip download --quiet --quiet --quiet --only-binary :all: 'hatchling>=1.26' -d "$WORK/wheels" &&
    in_storage bud --quiet --isolation chroot --format docker --build-arg BASE="$BUILDS" --build-arg FINAL="$RUNS" --pull-never \
      --secret id=pip.conf,src="$WORK/pip.conf" --volume "$WORK/wheels:/wheels:ro" --tag "$IMAGE" -f Containerfile . >/dev/null &&
    in_storage inspect --type image "$IMAGE" >"$WORK/image.json" && rm -r "$WORK/wheels"
}

megabytes() { du --summarize --bytes --one-file-system "$1" | awk '{ printf "%d", $1 / 1000000 }'; }

root_of() { in_storage mount "$(in_storage from --pull-never "$1")"; }

image_sized() {
  local base whole
  base=$(megabytes "$(root_of "$RUNS")") && whole=$(megabytes "$(root_of "$IMAGE")") &&
    echo "$whole MB unpacked: the base $base MB, warmer and all that it needs $((whole - base)) MB" &&
    [ "$whole" -lt "$MOST_MB" ]
}

image_run() {
  local container
  container=$(in_storage from --pull-never "$IMAGE") &&
    in_storage run --isolation chroot --user 48213:48213 "$container" -- warmer --version
}

# buildah's isolation by chroot leaves a root writable, and another one needs what a container may not do: what a
# runtime would do about that is done by hand.
image_contained() { PYTHONPATH=tests "$BIN/python" tests/lab/contained.py "$(root_of "$IMAGE")" "$WORK/image.json"; }

image_checks() {
  check "two images of this host's Debian to stand on, one to build and one to run" bases_imported
  check 'the image is built, each package by its hash' image_built
  check "it has less than $MOST_MB MB" image_sized
  check 'buildah runs it as any user' image_run
  check 'a daemon in it, as any user on a read-only root' image_contained
}
