"""The CronJob's manifests: valid for Kubernetes, allowed in a restricted namespace, and wired to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions, major_minor

from warmer import config

FOLDER = Path(__file__).parents[2] / "config" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
MANIFESTS: dict[str, dict[str, Any]] = {
    manifest["kind"]: manifest
    for name in KUSTOMIZATION["resources"]
    for manifest in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
}
NEWEST_VERSIONS = list(dict.fromkeys(major_minor(version) for version in all_versions()))[-3:]

CRONJOB = MANIFESTS["CronJob"]["spec"]
JOB = CRONJOB["jobTemplate"]["spec"]
POD = JOB["template"]["spec"]
(CONTAINER,) = POD["containers"]
MOUNTS: dict[str, dict[str, Any]] = {mount["name"]: mount for mount in CONTAINER["volumeMounts"]}
VOLUMES: dict[str, dict[str, Any]] = {volume["name"]: volume for volume in POD["volumes"]}
FILE: dict[str, Any] = yaml.safe_load(MANIFESTS["ConfigMap"]["data"]["warmer.yaml"])


def path_in_pod(volume: str, file: str) -> str:
    return f"{MOUNTS[volume]['mountPath']}/{file}"


@pytest.mark.parametrize("version", NEWEST_VERSIONS)
@pytest.mark.parametrize("kind", MANIFESTS)
def test_manifest_is_valid_for_kubernetes(kind: str, version: str) -> None:
    assert kubernetes_validate.validate(MANIFESTS[kind], version, strict=True) == version


def test_kustomization_names_every_manifest_in_the_folder() -> None:
    assert sorted([*KUSTOMIZATION["resources"], "kustomization.yaml"]) == sorted(f.name for f in FOLDER.glob("*.yaml"))


def test_everything_lives_in_the_one_namespace() -> None:
    namespace = MANIFESTS["Namespace"]["metadata"]["name"]
    others = [manifest for kind, manifest in MANIFESTS.items() if kind != "Namespace"]
    assert KUSTOMIZATION["namespace"] == namespace
    assert {manifest["metadata"]["namespace"] for manifest in others} == {namespace}


def test_namespace_enforces_restricted_pods() -> None:
    assert MANIFESTS["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_pod_passes_the_restricted_pod_security_standard() -> None:
    """Each control of the standard that this pod could break, by its name there."""
    assert not POD.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"}
    assert "hostPath" not in {kind for volume in POD["volumes"] for kind in volume}
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] != 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"]["allowPrivilegeEscalation"] is False
    assert CONTAINER["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "privileged" not in CONTAINER["securityContext"]


def test_only_the_ledger_and_tmp_can_be_written() -> None:
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert {name for name, mount in MOUNTS.items() if not mount.get("readOnly")} == {"ledger", "tmp"}


def test_pod_carries_no_credential_of_the_cluster() -> None:
    assert POD["automountServiceAccountToken"] is False
    assert POD["enableServiceLinks"] is False


def test_runs_never_overlap_and_a_late_one_still_starts() -> None:
    assert CRONJOB["concurrencyPolicy"] == "Forbid"
    # Below 10 s the controller, which looks every 10 s, may never start a run; past a minute the next one is due.
    assert 10 < CRONJOB["startingDeadlineSeconds"] < 60
    assert CRONJOB["schedule"] == "* * * * *"


def test_a_hanging_run_ends_and_the_next_minute_is_the_retry() -> None:
    lasting_s, drain_s = 55, 5
    pull_and_start_s = 30
    assert lasting_s + drain_s + pull_and_start_s <= JOB["activeDeadlineSeconds"] <= 120
    assert JOB["backoffLimit"] == 0
    assert POD["restartPolicy"] == "Never"


def test_pod_runs_one_pass_on_the_mounted_file() -> None:
    assert CONTAINER["command"] == ["warmer"]
    assert CONTAINER["args"] == ["once", "--for", "55s", "-c", path_in_pod("config", "warmer.yaml")]


def test_file_comes_from_the_config_map() -> None:
    assert VOLUMES["config"]["configMap"] == {"name": MANIFESTS["ConfigMap"]["metadata"]["name"]}
    assert MOUNTS["config"]["readOnly"] is True
    # A subPath mount would not change when the ConfigMap does.
    assert "subPath" not in MOUNTS["config"]


def test_file_is_one_that_warmer_takes() -> None:
    spec = config.parse(MANIFESTS["ConfigMap"]["data"]["warmer.yaml"].encode(), path="warmer.yaml")
    assert spec.ledger == FILE["ledger"]


def test_token_comes_from_a_secret_and_only_from_there() -> None:
    (item,) = VOLUMES["token"]["secret"]["items"]
    assert FILE["replicate"]["token"] == f"file:{path_in_pod('token', item['path'])}"
    assert VOLUMES["token"]["secret"]["defaultMode"] == 0o440
    assert not CONTAINER.keys() & {"env", "envFrom"}
    assert "Secret" not in MANIFESTS


def test_ledger_is_on_the_persistent_volume() -> None:
    claim = MANIFESTS["PersistentVolumeClaim"]
    assert VOLUMES["ledger"]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    assert FILE["ledger"] == f"sqlite:///{path_in_pod('ledger', 'ledger.db')}"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert POD["securityContext"]["fsGroup"] == POD["securityContext"]["runAsGroup"]


def test_image_is_pinned_and_replaced_in_one_place() -> None:
    (image,) = KUSTOMIZATION["images"]
    name, _, tag = CONTAINER["image"].partition(":")
    assert name == image["name"]
    assert tag == image["newTag"]
    assert tag not in {"", "latest"}


def test_memory_is_bounded() -> None:
    assert CONTAINER["resources"]["requests"].keys() >= {"cpu", "memory"}
    assert "memory" in CONTAINER["resources"]["limits"]
