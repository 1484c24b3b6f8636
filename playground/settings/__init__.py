"""Every setting once: the partner's service.yaml, and the running service.

Errors, the documentation's table and the generated files all come from the one definition in ``fields``.
"""

from playground.settings.arguments import load_arguments
from playground.settings.fields import (
    PROJECT_ID,
    PredictorSettings,
    Resources,
    RunningSettings,
    ServiceSettings,
    docs_table,
)
from playground.settings.load import Finding, Rule, load_running, load_service, read_number, read_setting

__all__ = [
    "PROJECT_ID",
    "Finding",
    "PredictorSettings",
    "Resources",
    "Rule",
    "RunningSettings",
    "ServiceSettings",
    "docs_table",
    "load_arguments",
    "load_running",
    "load_service",
    "read_number",
    "read_setting",
]
