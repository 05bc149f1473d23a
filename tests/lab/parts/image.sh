# shellcheck shell=bash
# The image: built on this host's Debian, started by a user that nobody knows on a root that cannot be written.

BASE_IMAGE=localhost/warmer-lab-base
IMAGE=localhost/warmer-lab
MOST_MB=200

image_packages() {
  needs buildah buildah
  needs mmdebstrap mmdebstrap
}
image_versions() { echo "buildah $(buildah --version | cut -d' ' -f3), mmdebstrap $(mmdebstrap --version | cut -d' ' -f2)"; }

in_storage() { buildah --root "$WORK/images" --runroot "$WORK/running" --storage-driver vfs "$@"; }

# As the slim images of Debian are: without documentation and translations. From the mirror of this host.
base_imported() {
  local codename mirror container
  # shellcheck disable=SC1091 # every Debian has it
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016 # apt-get expands it
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $codename" 'Created-By: Packages' | head -1)
  mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$codename" "$WORK/base.tar" "$mirror" &&
    container=$(in_storage from scratch) &&
    in_storage add --quiet "$container" "$WORK/base.tar" / >/dev/null &&
    in_storage config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container" &&
    in_storage commit --quiet --rm "$container" "$BASE_IMAGE" >/dev/null && rm "$WORK/base.tar" &&
    echo "Debian $codename with python3, python3-venv and ca-certificates"
}

# What pip of this host is configured to find, put where the build finds it: so that no index is named here.
image_built() {
  mkdir -p "$WORK/wheels" && printf '[global]\nno-index = true\nfind-links = /wheels\n' >"$WORK/pip.conf" &&
    "$BIN/python" -m pip download --quiet --only-binary :all: --require-hashes -r requirements.lock -d "$WORK/wheels" &&
    "$BIN/python" -m pip download --quiet --only-binary :all: 'hatchling>=1.26' -d "$WORK/wheels" &&
    in_storage bud --quiet --isolation chroot --format docker --build-arg BASE="$BASE_IMAGE" --pull-never \
      --secret id=pip.conf,src="$WORK/pip.conf" --volume "$WORK/wheels:/wheels:ro" --tag "$IMAGE" -f Containerfile . >/dev/null &&
    in_storage inspect --type image "$IMAGE" >"$WORK/image.json" && rm -r "$WORK/wheels"
}

megabytes() { du --summarize --bytes --one-file-system "$1" | awk '{ printf "%d", $1 / 1000000 }'; }

root_of() { in_storage mount "$(in_storage from --pull-never "$1")"; }

image_sized() {
  local base whole
  base=$(megabytes "$(root_of "$BASE_IMAGE")") && whole=$(megabytes "$(root_of "$IMAGE")") &&
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
  check "an image of this host's Debian, imported" base_imported
  check 'the image is built, each package by its hash' image_built
  check "it has less than $MOST_MB MB" image_sized
  check 'buildah runs it as any user' image_run
  check 'a daemon in it, as any user on a read-only root' image_contained
}
