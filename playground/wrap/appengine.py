"""The rules of App Engine Flex that Google's own parser does not check, in exact decimals.

Sources: https://cloud.google.com/appengine/docs/flexible/reference/app-yaml, and what its API answers ("Memory GB
(8.20) per VCPUs must be between 0.90 and 6.50"): 0.4 GB of the machine's memory are App Engine's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from playground.settings import Finding, Rule

OVERHEAD_GB = Decimal("0.4")
LOWEST, ADVISED, HIGHEST = Decimal("0.90"), Decimal("1.0"), Decimal("6.50")
"""GB of memory per core, the overhead included; the documentation asks for ADVISED, the API accepts LOWEST."""

NAMES_LENGTH = 63
"""VERSION-dot-SERVICE-dot-PROJECT is one label of a host name."""

SECRETS = re.compile(r"[?&](?:[a-z_-]*(?:key|token|secret|signature|password|sig))=[^&{]", re.IGNORECASE)


def rules(project: str | None) -> tuple[Rule, ...]:
    """Every rule that a service.yaml must keep to be deployed in ``project``."""

    def names_fit(values: Mapping[str, Any]) -> Iterator[Finding]:
        name = values.get("name")
        if name and project:
            left = NAMES_LENGTH - len(f"-dot-{name}-dot-{project}")
            words = f"with project {project} leaves {left} characters for the version's name, of {NAMES_LENGTH} in all"
            if left < 8:
                yield Finding("name", f"{words}; allowed: at least 8, so give a shorter name", fatal=left < 1)

    return (image_given, cores_fit, memory_fits, no_secrets, access_thought_of, names_fit)


def image_given(values: Mapping[str, Any]) -> Iterator[Finding]:
    """A build context wraps an image, so there must be one."""
    if "image" in values and values["image"] is None:
        yield Finding("image", "missing, needed: the reference of the partner's Docker image")


def cores_fit(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Cores: 1, an even number to 32, a multiple of 4 to 80."""
    cpu = values.get("resources.cpu")
    if cpu is not None and not is_machine(cpu):
        yield Finding("resources.cpu", f"found {cpu}, allowed: 1, an even number to 32, a multiple of 4 to 80 (cores)")


def is_machine(cpu: int) -> bool:
    """Whether App Engine Flex has a machine of ``cpu`` cores."""
    return cpu == 1 or (2 <= cpu <= 32 and cpu % 2 == 0) or (32 < cpu <= 80 and cpu % 4 == 0)


def memory_range(cpu: int) -> tuple[Decimal, Decimal]:
    """The least and the most memory_gb of a machine of ``cpu`` cores, to a hundredth, rounded inwards."""
    cents = Decimal("0.01")
    least = (LOWEST * cpu - OVERHEAD_GB).quantize(cents, ROUND_CEILING)
    return least, (HIGHEST * cpu - OVERHEAD_GB).quantize(cents, ROUND_FLOOR)


def memory_fits(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Memory per core, App Engine's overhead included."""
    cpu, memory = values.get("resources.cpu"), values.get("resources.memory_gb")
    if cpu is None or memory is None or not is_machine(cpu):
        return
    least, most = memory_range(cpu)
    per_core = (memory + OVERHEAD_GB) / cpu
    if not LOWEST <= per_core <= HIGHEST:
        words = f"found {memory}, allowed with {cpu} cores: {least} to {most} (GB)"
        yield Finding("resources.memory_gb", words)
    elif per_core < ADVISED:
        advised = ADVISED * cpu - OVERHEAD_GB
        words = f"{memory} GB is accepted with {cpu} cores, but App Engine's documentation asks for {advised} or more"
        yield Finding("resources.memory_gb", words, fatal=False)


def no_secrets(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Generated files hold no secrets."""
    tiles = values.get("TILES") or ""
    if re.search(r"://[^/?#\s]*@", tiles):
        yield Finding(
            "TILES", "holds a user name or password, allowed: an address without; secrets never go into files"
        )
    elif SECRETS.search(tiles):
        words = (
            "seems to hold a key; it will be readable in the generated files, in the image and in App Engine's console"
        )
        yield Finding("TILES", words, fatal=False)


def access_thought_of(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Whoever knows a service's address may use it, unless AUTH says otherwise; and what AUTH needs is there."""
    if "AUTH" not in values:  # a bad value, spoken of elsewhere
        return
    needed: dict[str | None, tuple[str, ...]] = {
        "bearer-jwt": ("JWKS_URL", "JWT_ISSUER", "JWT_AUDIENCE"),
        "iap": ("IAP_AUDIENCE",),
    }
    missing = [key for key in needed.get(values["AUTH"], ()) if values.get(key) is None]
    if values["AUTH"] is None:
        words = "not given, so app.yaml says none: whoever knows the address may use the service; see docs/security.md"
        yield Finding("AUTH", words, fatal=False)
    elif missing:
        yield Finding("AUTH", f"{values['AUTH']} needs {', '.join(missing)} too", fatal=False)
    elif values["AUTH"] == "api-key" and not (values.get("API_KEYS_FILE") or values.get("API_KEY_HASHES")):
        yield Finding(
            "AUTH", "api-key needs API_KEYS_FILE, API_KEY_HASHES, or API_KEYS in the environment", fatal=False
        )
