"""Whether a rendered ServiceMonitor is one as the Prometheus Operator defines it; kubectl does not know them.

Usage: python monitored.py <RENDERED.yaml, where cloudcoil-models-prometheus-operator is installed
"""

from __future__ import annotations

import sys
from importlib.metadata import version

import yaml
from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor

objects = list(yaml.safe_load_all(sys.stdin))
(found,) = (one for one in objects if one["kind"] == "ServiceMonitor")
# A key that the definition does not have is not refused, but left out.
assert ServiceMonitor.model_validate(found).model_dump(by_alias=True, mode="json", exclude_none=True) == found
(service,) = (one for one in objects if one["kind"] == "Service")
assert found["metadata"]["namespace"] == service["metadata"]["namespace"]
sys.stdout.write(f"valid by the operator's definition of {version('cloudcoil-models-prometheus-operator')}\n")
