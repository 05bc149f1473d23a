"""The manifests as `kubectl kustomize` renders them: valid, allowed in a restricted namespace, wired to each other.

What is rendered is on record in `rendered/`; `make lab` compares it with what kubectl says, and acts it out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from harness.pod_security import CONTROLS, broken
from kubernetes_validate.utils import all_versions, major_minor

from warmer import config
from warmer.core.shard import Shard, parse_shard

FOLDER = Path(__file__).parents[2] / "config" / "kubernetes"
RENDERED = Path(__file__).with_name("rendered")
NEWEST_VERSIONS = list(dict.fromkeys(major_minor(version) for version in all_versions()))[-3:]
Object = dict[str, Any]


class Variant:
    """One of the four, by what a cluster is handed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.objects: list[Object] = list(yaml.safe_load_all((RENDERED / f"{name}.yaml").read_text("utf-8")))
        self.workload = next(one for one in self.objects if one["kind"] in ("CronJob", "Deployment"))
        spec = self.workload["spec"]
        self.job: Object = spec.get("jobTemplate", {}).get("spec", {})
        self.template: Object = (self.job or spec)["template"]
        self.pod: Object = self.template["spec"]
        (self.container,) = self.pod["containers"]
        self.mounts: dict[str, Object] = {mount["name"]: mount for mount in self.container["volumeMounts"]}
        self.volumes: dict[str, Object] = {volume["name"]: volume for volume in self.pod["volumes"]}
        self.text: str = self.one("ConfigMap")["data"]["warmer.yaml"]
        self.file: Object = yaml.safe_load(self.text)

    def all(self, kind: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str) -> Object:
        (found,) = self.all(kind)
        return found

    def path_in_pod(self, volume: str, file: str) -> str:
        return f"{self.mounts[volume]['mountPath']}/{file}"

    def selects_pod(self, labels: Object) -> bool:
        return bool(labels) and labels.items() <= self.template["metadata"]["labels"].items()


VARIANTS = {name: Variant(name) for name in ("cronjob", "cronjob-sharded", "daemon", "shared")}
CRONJOBS = [VARIANTS["cronjob"], VARIANTS["cronjob-sharded"]]
SERVED = [VARIANTS["daemon"], VARIANTS["shared"]]
ON_VOLUME = [VARIANTS["cronjob"], VARIANTS["daemon"]]
ON_POSTGRES = [VARIANTS["cronjob-sharded"], VARIANTS["shared"]]


def each(variants: list[Variant]) -> Any:
    return pytest.mark.parametrize("variant", variants, ids=lambda one: one.name)


every_variant = each(list(VARIANTS.values()))


@pytest.mark.parametrize("version", NEWEST_VERSIONS)
@every_variant
def test_manifests_are_valid_for_kubernetes(variant: Variant, version: str) -> None:
    for one in variant.objects:
        assert kubernetes_validate.validate(one, version, strict=True) == version


def kustomizations() -> Iterator[tuple[Path, Object]]:
    for path in FOLDER.rglob("kustomization.yaml"):
        yield path.parent, yaml.safe_load(path.read_text("utf-8"))


def named(folder: Path, told: Object) -> list[Path]:
    """The files and folders that a kustomization is made of."""
    found = [*told.get("resources", []), *told.get("components", []), *(one["path"] for one in told.get("patches", []))]
    found += [file for one in told.get("configMapGenerator", []) for file in one["files"]]
    return [(folder / one).resolve() for one in found]


def test_every_file_in_the_folder_is_used() -> None:
    used = {one for folder, told in kustomizations() for one in named(folder, told)}
    files = {path.resolve() for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"}
    assert {one for one in used if one.is_file()} == files
    roots = {FOLDER, *(FOLDER / name for name in VARIANTS), FOLDER / "parts" / "service-monitor"}
    assert {folder.resolve() for folder, _ in kustomizations()} == {one for one in used if one.is_dir()} | roots


@every_variant
def test_everything_lives_in_the_one_namespace(variant: Variant) -> None:
    namespace = variant.one("Namespace")["metadata"]["name"]
    others = [one for one in variant.objects if one["kind"] != "Namespace"]
    assert {one["metadata"]["namespace"] for one in others} == {namespace}


@every_variant
def test_namespace_enforces_restricted_pods(variant: Variant) -> None:
    assert variant.one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_variant
def test_pod_passes_the_restricted_pod_security_standard(variant: Variant) -> None:
    assert broken(variant.pod) == []


def of_container(change: Object) -> Callable[[Object], None]:
    return lambda pod: pod["containers"][0].update(change)


def of_context(change: Object) -> Callable[[Object], None]:
    return lambda pod: pod["containers"][0]["securityContext"].update(change)


BREAKS: dict[str, Callable[[Object], None]] = {
    "HostProcess": of_context({"windowsOptions": {"hostProcess": True}}),
    "Host Namespaces": lambda pod: pod.update(hostPID=True),
    "Privileged Containers": of_context({"privileged": True}),
    "Host Ports": of_container({"ports": [{"containerPort": 1, "hostPort": 1}]}),
    "Host Probes / Lifecycle Hooks": of_container({"livenessProbe": {"httpGet": {"port": 1, "host": "10.0.0.1"}}}),
    "AppArmor": of_context({"appArmorProfile": {"type": "Unconfined"}}),
    "SELinux": of_context({"seLinuxOptions": {"role": "sysadm_r"}}),
    "/proc Mount Type": of_context({"procMount": "Unmasked"}),
    "Sysctls": lambda pod: pod["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    "Volume Types": lambda pod: pod["volumes"].append({"name": "root", "hostPath": {"path": "/"}}),
    "Privilege Escalation": of_context({"allowPrivilegeEscalation": True}),
    "Running as Non-root": of_context({"runAsNonRoot": False}),
    "Running as Non-root user": of_context({"runAsUser": 0}),
    "Seccomp": of_context({"seccompProfile": {"type": "Unconfined"}}),
    "Capabilities": of_context({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_pod_that_breaks_a_control_would_be_found(control: str) -> None:
    pod = copy.deepcopy(VARIANTS["daemon"].pod)
    BREAKS[control](pod)
    assert broken(pod) == [control]


@every_variant
def test_only_the_ledger_and_tmp_can_be_written(variant: Variant) -> None:
    assert variant.container["securityContext"]["readOnlyRootFilesystem"] is True
    writable = {name for name, mount in variant.mounts.items() if not mount.get("readOnly")}
    assert writable == ({"ledger", "tmp"} if variant in ON_VOLUME else {"tmp"})


@every_variant
def test_pod_carries_no_credential_of_the_cluster(variant: Variant) -> None:
    assert variant.pod["automountServiceAccountToken"] is False
    assert variant.pod["enableServiceLinks"] is False


@each(CRONJOBS)
def test_runs_never_overlap_and_a_late_one_still_starts(variant: Variant) -> None:
    spec = variant.workload["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    # Below 10 s the controller, which looks every 10 s, may never start a run; past a minute the next one is due.
    assert 10 < spec["startingDeadlineSeconds"] < 60
    assert (spec["schedule"], spec["timeZone"]) == ("* * * * *", "Etc/UTC")


@each(CRONJOBS)
def test_a_hanging_run_ends_and_the_next_minute_is_the_retry(variant: Variant) -> None:
    lasting_s, drain_s = 55, 5
    pull_and_start_s = 30
    assert lasting_s + drain_s + pull_and_start_s <= variant.job["activeDeadlineSeconds"] <= 120
    assert variant.job.get("backoffLimit" if variant.name == "cronjob" else "backoffLimitPerIndex") == 0
    assert variant.pod["restartPolicy"] == "Never"


def test_a_part_that_fails_ends_no_other() -> None:
    """As `backoffLimit: 0` would, and one failure too many of `maxFailedIndexes`."""
    assert not VARIANTS["cronjob-sharded"].job.keys() & {"backoffLimit", "maxFailedIndexes", "podFailurePolicy"}


def test_parts_of_an_indexed_job_are_all_of_them_at_once() -> None:
    job, args = VARIANTS["cronjob-sharded"].job, VARIANTS["cronjob-sharded"].container["args"]
    assert job["completionMode"] == "Indexed"
    assert job["parallelism"] == job["completions"]
    shards = [parse_shard(args[args.index("--shard") + 1], str(index)) for index in range(job["completions"])]
    assert shards == [Shard(number=index + 1, count=job["completions"]) for index in range(job["completions"])]


@every_variant
def test_pod_runs_the_mounted_file(variant: Variant) -> None:
    file = ["-c", variant.path_in_pod("config", "warmer.yaml")]
    assert variant.container["command"] == ["warmer"]
    assert variant.container["args"][-2:] == file
    assert variant.container["args"][:-2] == {
        "cronjob": ["once", "--for", "55s"],
        "cronjob-sharded": ["once", "--for", "55s", "--shard", "auto/4"],
    }.get(variant.name, ["run"])


@every_variant
def test_file_comes_from_the_config_map_and_is_followed(variant: Variant) -> None:
    assert variant.volumes["config"]["configMap"] == {"name": variant.one("ConfigMap")["metadata"]["name"]}
    assert variant.one("ConfigMap")["metadata"]["name"] == "warmer"
    assert variant.mounts["config"]["readOnly"] is True
    # A subPath mount would not change when the ConfigMap does.
    assert not any("subPath" in mount for mount in variant.mounts.values())


@every_variant
def test_file_is_one_that_warmer_takes(variant: Variant) -> None:
    spec = config.parse(variant.text.encode(), path="warmer.yaml")
    assert spec.ledger == variant.file["ledger"]
    assert (FOLDER / variant.name / "warmer.yaml").read_text("utf-8") == variant.text


@every_variant
def test_secrets_come_from_a_secret_and_only_from_there(variant: Variant) -> None:
    secret = variant.volumes["token"]["secret"]
    paths = {variant.path_in_pod("token", item["path"]) for item in secret["items"]}
    told = {variant.file["replicate"]["token"], variant.file.get("ledger_password")} - {None}
    assert {f"file:{path}" for path in paths} == told
    assert secret["defaultMode"] == 0o440
    assert variant.pod["securityContext"]["fsGroup"] == variant.pod["securityContext"]["runAsGroup"]
    assert not variant.container.keys() & {"env", "envFrom"}
    assert not variant.all("Secret")


@each(ON_VOLUME)
def test_ledger_is_on_the_persistent_volume(variant: Variant) -> None:
    claim = variant.one("PersistentVolumeClaim")
    assert variant.volumes["ledger"]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    assert variant.file["ledger"] == f"sqlite:///{variant.path_in_pod('ledger', 'ledger.db')}"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


@each(ON_POSTGRES)
def test_what_runs_on_several_nodes_has_its_ledger_on_a_server(variant: Variant) -> None:
    assert variant.file["ledger"].startswith("postgresql://")
    assert variant.file["engine"] == "shared"
    assert not variant.all("PersistentVolumeClaim")


def test_a_volume_of_one_node_is_let_go_before_the_next_pod_wants_it() -> None:
    spec = VARIANTS["daemon"].workload["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_replicas_are_never_all_away() -> None:
    shared = VARIANTS["shared"]
    spec, budget = shared.workload["spec"], shared.one("PodDisruptionBudget")["spec"]
    assert spec["replicas"] > budget["maxUnavailable"] == 1
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert shared.selects_pod(budget["selector"]["matchLabels"])
    spread = shared.pod["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    assert all(shared.selects_pod(one["labelSelector"]["matchLabels"]) for one in spread)


@each(SERVED)
def test_what_listens_has_probes_and_a_service_of_the_name_it_answers_to(variant: Variant) -> None:
    probes = {kind: variant.container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {kind: probe["path"] for kind, probe in probes.items()} == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    (port,) = variant.container["ports"]
    service = variant.one("Service")
    (served,) = service["spec"]["ports"]
    assert {probe["port"] for probe in probes.values()} == {port["name"], served["targetPort"]}
    assert variant.selects_pod(service["spec"]["selector"])
    assert variant.selects_pod(variant.workload["spec"]["selector"]["matchLabels"])
    name = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert variant.file["listen"] == f"{name}:{port['containerPort']}" == f"{name}:{served['port']}"
    assert variant.pod["hostAliases"] == [{"ip": "0.0.0.0", "hostnames": [name]}]


@each(CRONJOBS)
def test_what_does_not_listen_has_no_port(variant: Variant) -> None:
    assert not variant.container.keys() & {"ports", "livenessProbe", "readinessProbe", "startupProbe"}
    assert not variant.all("Service")
    assert "listen" not in variant.file


@every_variant
def test_network_is_shut_but_for_what_is_needed(variant: Variant) -> None:
    policies = [one["spec"] for one in variant.all("NetworkPolicy")]
    assert all(variant.selects_pod(one["podSelector"]["matchLabels"]) for one in policies)
    assert any(set(one["policyTypes"]) == {"Ingress", "Egress"} for one in policies)
    into = [port["port"] for one in policies for rule in one.get("ingress", []) for port in rule["ports"]]
    out = {port["port"] for one in policies for rule in one.get("egress", []) for port in rule["ports"]}
    assert into == (["http"] if variant in SERVED else [])
    assert out == {53, 443} | ({5432} if variant in ON_POSTGRES else set())
    assert all(rule["from"] for one in policies for rule in one.get("ingress", []))


@every_variant
def test_image_is_pinned_and_replaced_in_one_place(variant: Variant) -> None:
    tag = variant.container["image"].partition(":")[2]
    assert tag not in {"", "latest"}
    written = [path for path in FOLDER.rglob("*.yaml") if variant.container["image"] in path.read_text("utf-8")]
    assert written == [FOLDER / "parts" / "pod" / "pod.yaml"]


@every_variant
def test_memory_is_bounded(variant: Variant) -> None:
    assert variant.container["resources"]["requests"].keys() >= {"cpu", "memory"}
    assert "memory" in variant.container["resources"]["limits"]


@each(SERVED)
def test_a_service_monitor_finds_the_service(variant: Variant) -> None:
    monitor = yaml.safe_load((FOLDER / "parts" / "service-monitor" / "monitor.yaml").read_text("utf-8"))
    service = variant.one("Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [one["port"] for one in monitor["spec"]["endpoints"]] == [one["name"] for one in service["spec"]["ports"]]


@every_variant
def test_readme_says_how_to_apply_it(variant: Variant) -> None:
    assert f"kubectl apply -k config/kubernetes/{variant.name}\n" in (FOLDER / "README.md").read_text("utf-8")
