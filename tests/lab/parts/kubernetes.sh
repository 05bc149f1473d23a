# shellcheck shell=bash
# The manifests, as the tools of a cluster see them, and what a cluster does to their pods, acted out.

MANIFESTS=$PWD/config/kubernetes
VARIANTS='cronjob cronjob-sharded daemon shared'
RENDERED=$PWD/tests/kubernetes/rendered
# Of checkov's rules, those that are not followed: a limit of processor time would make beats late (CKV_K8S_11), the image is
# a placeholder, whose digest its owner knows (CKV_K8S_43), and its tag is pinned (CKV_K8S_15).
NOT_FOLLOWED=CKV_K8S_11,CKV_K8S_43,CKV_K8S_15

kubernetes_packages() {
  needs kubectl kubernetes-client
  needs ip iproute2
}
kubernetes_versions() { echo "kubectl $(kubectl_version), kubernetes-validate $("$BIN/kubernetes-validate" --version)"; }

# The one fetched, or this host's.
a_kubectl() { PATH=$WORK/kubectl/usr/bin:$PATH kubectl "$@"; }

kubectl_version() { a_kubectl version --client 2>/dev/null | grep -o 'v[0-9][0-9.]*' | head -1; }

knows_components() { [ "$(kubectl_version | cut -d. -f2)" -ge 21 ]; }

# From Debian 13.
fetch_kubectl() { unpacked "$WORK/kubectl" trixie kubectl && kubectl_version; }

# Each variant to a file of its name. Tests look at what is on record, which has to be the same; to renew it:
# kubectl kustomize config/kubernetes/VARIANT >tests/kubernetes/rendered/VARIANT.yaml
render() {
  local variant
  for variant in "$MANIFESTS"/*/kustomization.yaml; do
    variant=$(basename "${variant%/*}")
    a_kubectl kustomize "$MANIFESTS/$variant" >"$WORK/$variant.yaml" && diff "$RENDERED/$variant.yaml" "$WORK/$variant.yaml" || return
    echo "$variant: $(grep -c '^kind:' "$WORK/$variant.yaml") objects, $(grep -o 'image:.*' "$WORK/$variant.yaml")"
  done
}

newest_kubernetes() {
  "$BIN/python" -c 'from kubernetes_validate.utils import all_versions, major_minor
print(*list(dict.fromkeys(map(major_minor, all_versions())))[-3:])'
}

valid_for() {
  local variant
  for variant in $VARIANTS; do
    "$BIN/kubernetes-validate" --strict --quiet -k "$1" "$WORK/$variant.yaml" || return
  done
}

files_in_config_maps() {
  local variant
  for variant in $VARIANTS; do
    "$BIN/python" -c 'import sys, yaml
(found,) = (one for one in yaml.safe_load_all(sys.stdin) if one["kind"] == "ConfigMap")
print(found["data"]["warmer.yaml"])' <"$WORK/$variant.yaml" >"$WORK/warmer.yaml" &&
      "$BIN/warmer" check -c "$WORK/warmer.yaml" | tail -1 || return
  done
}

# By checkov, in an environment of its own: it asks for versions of many libraries.
restricted() {
  "$BIN/python" -m venv "$WORK/checkov" && "$WORK/checkov/bin/pip" install --quiet --quiet --no-compile checkov || return
  local variant files=()
  for variant in $VARIANTS; do files+=("$WORK/$variant.yaml"); done
  # All at once: to begin takes it longer than to look.
  "$WORK/checkov/bin/checkov" --framework kubernetes --skip-download --compact --quiet --skip-check $NOT_FOLLOWED \
    --file "${files[@]}" >"$WORK/said" 2>&1 || { cat "$WORK/said"; return 1; }
  echo "$("$WORK/checkov/bin/pip" freeze | grep -i '^checkov=='), ${#files[@]} files: $(grep -o 'Passed.*' "$WORK/said")"
}

# The line that is commented out, commented in; the operator's definition as PyPI has it.
monitored() {
  cp -r "$MANIFESTS" "$WORK/monitored"
  sed -i 's|# - ../parts/service-monitor|- ../parts/service-monitor|' "$WORK"/monitored/*/kustomization.yaml
  "$BIN/python" -m venv "$WORK/operator" &&
    "$WORK/operator/bin/pip" install --quiet --quiet --no-compile cloudcoil-models-prometheus-operator || return
  local variant
  for variant in daemon shared; do
    a_kubectl kustomize "$WORK/monitored/$variant" | "$WORK/operator/bin/python" tests/lab/monitored.py || return
  done
}

# acted SCENE VARIANT
acted() { PYTHONPATH=tests "$BIN/python" -W ignore tests/lab/acted.py "$1" "$WORK/$2.yaml"; }

kubernetes_checks() {
  knows_components || check 'a kubectl that knows components is fetched' fetch_kubectl
  check 'kustomize renders each variant, as the tests have it on record' render
  for version in $(newest_kubernetes); do
    check "rendered, they are valid for Kubernetes $version" valid_for "$version"
  done
  check 'checkov finds nothing that a restricted pod may not' restricted
  check 'with a ServiceMonitor, where there is the Prometheus Operator' monitored
  check 'warmer takes the file in each ConfigMap' files_in_config_maps
  check 'cronjob: two jobs at once, and one after an hour without any' acted jobs cronjob
  check 'cronjob-sharded: the parts of a job, one of which is killed, and the next job' acted shards cronjob-sharded
  check 'daemon: probes, edits of the ConfigMap, SIGTERM, and the pods after it' acted daemon daemon
  check 'shared: replicas, an edit, a roll-out, and one that is killed' acted replicas shared
}
