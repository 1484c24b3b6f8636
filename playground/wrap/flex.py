"""What App Engine Flex allows in an app.yaml, as data: what Google's own parser lets pass is refused hours later.

Source: https://cloud.google.com/appengine/docs/flexible/reference/app-yaml
"""

from __future__ import annotations

import re
from decimal import Decimal

NUMBERS: dict[str, tuple[Decimal, Decimal, str]] = {
    key: (Decimal(low), Decimal(high), unit)
    for key, low, high, unit in (
        ("resources.disk_size_gb", "10", "10240", "GB"),
        ("readiness_check.timeout_sec", "1", "300", "seconds"),
        ("readiness_check.check_interval_sec", "1", "300", "seconds"),
        ("readiness_check.failure_threshold", "1", "10", "checks"),
        ("readiness_check.success_threshold", "1", "10", "checks"),
        ("readiness_check.app_start_timeout_sec", "1", "1800", "seconds"),
        ("liveness_check.timeout_sec", "1", "300", "seconds"),
        ("liveness_check.check_interval_sec", "1", "300", "seconds"),
        ("liveness_check.failure_threshold", "1", "10", "checks"),
        ("liveness_check.success_threshold", "1", "10", "checks"),
        ("liveness_check.initial_delay_sec", "0", "3600", "seconds"),
        ("automatic_scaling.min_num_instances", "1", "1000", "instances"),
        ("automatic_scaling.max_num_instances", "1", "1000", "instances"),
        ("automatic_scaling.cool_down_period_sec", "60", "86400", "seconds"),
        ("automatic_scaling.cpu_utilization.target_utilization", "0.01", "1", "of the processors"),
        ("manual_scaling.instances", "1", "20", "instances"),
    )
}
"""Key -> (lowest, highest, unit)."""

CHECK_DEFAULTS = {
    "readiness_check": (Decimal(5), Decimal(4)),
    "liveness_check": (Decimal(30), Decimal(4)),
}
"""Check -> (check_interval_sec, timeout_sec) where they are not given."""

NOT_FLEX = {
    "vpc_access_connector": "is for the standard environment",
    "inbound_services": "is for the standard environment",
    "handlers": "is for the standard environment; the container answers every address",
    "instance_class": "is for the standard environment; use resources",
    "basic_scaling": "is for the standard environment; use automatic_scaling or manual_scaling",
    "libraries": "is for the standard environment; the image holds what is needed",
    "health_check": "was replaced in 2019; use readiness_check and liveness_check",
    "build_env_variables": "is read by buildpacks only, not with a Dockerfile",
    "version": "is not taken any more; give --version to gcloud",
    "application": "is not taken any more; give --project to gcloud",
}
"""Keys that Google's parser knows, and that do nothing (or harm) on Flex with runtime: custom."""

VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
VERSION = re.compile(r"(?!-)[a-z\d-]{0,62}[a-z\d]", re.ASCII)
RESERVED_VERSIONS = ("default", "latest")
FORWARDED_PORTS_TAKEN = {22, 8080, 8090, 8443, 10000, 10001, 11211, 24231, *range(10400, 10501)}
DRAIN_SECONDS = 24
"""After SIGTERM; an instance is taken away after 25."""
VOLUME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


def version_problem(version: str) -> str | None:
    """Why App Engine does not take ``version`` as a version's name; None if it does."""
    if not VERSION.fullmatch(version):
        return "allowed: lowercase letters, digits and hyphens, at most 63, no hyphen at either end"
    if version in RESERVED_VERSIONS or version.startswith("ah-") or "-dot-" in version:
        return "is reserved by App Engine (default, latest, ah-…, and names with -dot-)"
    return None
