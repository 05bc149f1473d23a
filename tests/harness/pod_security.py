"""The restricted profile of Kubernetes' Pod Security Standards, by the names that its controls have there.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, with all of #baseline, as a
namespace with `pod-security.kubernetes.io/enforce: restricted` holds pods against it (v1.35).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

PodSpec = Mapping[str, Any]
Control = Callable[[PodSpec], bool]

_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
_SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_PROFILES = {"RuntimeDefault", "Localhost"}


def _containers(pod: PodSpec) -> list[Mapping[str, Any]]:
    return [one for kind in ("containers", "initContainers", "ephemeralContainers") for one in pod.get(kind, [])]


def _contexts(pod: PodSpec) -> list[Mapping[str, Any]]:
    """Of the pod, and then of each container."""
    return [one.get("securityContext", {}) for one in (pod, *_containers(pod))]


def _everywhere(pod: PodSpec, key: str, holds: Callable[[Any], bool]) -> bool:
    """Whether `holds` what each container has for `key`: its own, or else the pod's."""
    of_pod, *of_containers = _contexts(pod)
    return all(holds(one.get(key, of_pod.get(key))) for one in of_containers)


def _actions(pod: PodSpec) -> Iterator[Mapping[str, Any]]:
    """What probes and hooks do."""
    for one in _containers(pod):
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            yield from (action for action in one.get(probe, {}).values() if isinstance(action, Mapping))
        for hook in one.get("lifecycle", {}).values():
            yield from hook.values()


CONTROLS: dict[str, Control] = {
    "HostProcess": lambda pod: all(not one.get("windowsOptions", {}).get("hostProcess") for one in _contexts(pod)),
    "Host Namespaces": lambda pod: not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
    "Privileged Containers": lambda pod: all(not one.get("privileged") for one in _contexts(pod)),
    "Host Ports": lambda pod: all(
        not port.get("hostPort") for one in _containers(pod) for port in one.get("ports", [])
    ),
    "Host Probes / Lifecycle Hooks": lambda pod: all(not action.get("host") for action in _actions(pod)),
    "AppArmor": lambda pod: all(
        one.get("appArmorProfile", {}).get("type", "RuntimeDefault") in _PROFILES for one in _contexts(pod)
    ),
    "SELinux": lambda pod: all(
        selinux.get("type") in _SELINUX_TYPES and not selinux.get("user") and not selinux.get("role")
        for selinux in (one.get("seLinuxOptions", {}) for one in _contexts(pod))
    ),
    "/proc Mount Type": lambda pod: all(one.get("procMount", "Default") == "Default" for one in _contexts(pod)),
    "Sysctls": lambda pod: {one["name"] for one in pod.get("securityContext", {}).get("sysctls", [])} <= _SYSCTLS,
    "Volume Types": lambda pod: all(volume.keys() - {"name"} <= _VOLUMES for volume in pod.get("volumes", [])),
    "Privilege Escalation": lambda pod: all(
        one.get("securityContext", {}).get("allowPrivilegeEscalation") is False for one in _containers(pod)
    ),
    "Running as Non-root": lambda pod: _everywhere(pod, "runAsNonRoot", lambda value: value is True),
    "Running as Non-root user": lambda pod: all(one.get("runAsUser") != 0 for one in _contexts(pod)),
    "Seccomp": lambda pod: _everywhere(pod, "seccompProfile", lambda value: (value or {}).get("type") in _PROFILES),
    "Capabilities": lambda pod: all(
        "ALL" in capabilities.get("drop", []) and set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}
        for capabilities in (one.get("securityContext", {}).get("capabilities", {}) for one in _containers(pod))
    ),
}


def broken(pod: PodSpec) -> list[str]:
    """The controls that the pod breaks."""
    return [name for name, holds in CONTROLS.items() if not holds(pod)]
