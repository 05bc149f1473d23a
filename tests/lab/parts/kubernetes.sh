# shellcheck shell=bash
# The manifests, as the tools of a cluster see them.

MANIFESTS=$PWD/config/kubernetes

kubernetes_packages() { needs kubectl kubernetes-client; }
kubernetes_versions() { echo "kubectl $(kubectl_version), kubernetes-validate $("$BIN/kubernetes-validate" --version)"; }

kubectl_version() { kubectl version --client 2>/dev/null | grep -o 'v[0-9][0-9.]*' | head -1; }

image() { kubectl kustomize "$MANIFESTS" | grep -o 'image:.*'; }

newest_kubernetes() {
  "$BIN/python" -c 'from kubernetes_validate.utils import all_versions, major_minor
print(*list(dict.fromkeys(map(major_minor, all_versions())))[-3:])'
}

valid_for() { kubectl kustomize "$MANIFESTS" | "$BIN/kubernetes-validate" --strict --quiet -k "$1" -; }

file_in_config_map() {
  "$BIN/python" -c 'import sys, yaml
print(yaml.safe_load(sys.stdin)["data"]["warmer.yaml"])' <"$MANIFESTS/configmap.yaml" >"$WORK/warmer.yaml" &&
    "$BIN/warmer" check -c "$WORK/warmer.yaml"
}

kubernetes_checks() {
  check 'kustomize renders the manifests' image
  for version in $(newest_kubernetes); do
    check "rendered, they are valid for Kubernetes $version" valid_for "$version"
  done
  check 'warmer takes the file in the ConfigMap' file_in_config_map
}
