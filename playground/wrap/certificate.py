"""The certificate that `playground check` writes and `playground deploy` asks for: what was tested, how it went."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from playground.errors import CertificateError

KIND = "playground-certificate"
FORMAT = 1


class CheckResult(msgspec.Struct, frozen=True):
    """One check: its name, its grade (must, should, good), its outcome (passed, failed, skipped) and a few words."""

    name: str
    grade: str
    outcome: str
    words: str = ""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked.

    Attributes:
        target: what `check` was given.
        image: the image's reference; empty for a class or a URL.
        digest: the image's ``sha256:…``; empty where there is none.
        playground: the version of this library.
        results: of all checks.
        figures: what was measured: seconds, megabytes.
        recommended: settings that follow from the figures.
    """

    kind: str = KIND
    format: int = FORMAT
    target: str
    image: str = ""
    digest: str = ""
    playground: str = ""
    results: tuple[CheckResult, ...] = ()
    figures: dict[str, float] = {}
    recommended: dict[str, Any] = {}

    @property
    def failures(self) -> list[CheckResult]:
        """The checks of grade must that did not pass."""
        return [each for each in self.results if each.grade == "must" and each.outcome == "failed"]


def write_certificate(certificate: Certificate, path: Path) -> None:
    """As JSON: keys sorted, the same bytes for the same outcome."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(certificate, order="sorted"), indent=2) + b"\n")


def read_certificate(path: Path) -> Certificate:
    """The certificate of a file.

    Raises:
        CertificateError: there is none.
    """
    hint = "run `playground check IMAGE --certificate FILE`"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Certificate)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}", hint) from error
    except msgspec.DecodeError as error:
        raise CertificateError(f"{path} is no certificate: {error}", hint) from error
    if found.kind != KIND or found.format != FORMAT:
        raise CertificateError(f"{path} is no certificate that this version reads", hint)
    return found


def check_covers(certificate: Certificate, image: str) -> None:
    """Whether a certificate speaks of this image, and well.

    Raises:
        CertificateError: of another one, of one without a digest, or a check failed.
    """
    digest = re.search(r"@(sha256:[0-9a-f]{64})$", image)
    if digest is None:
        raise CertificateError(
            f"{image} names no digest, so nobody can tell whether it was checked",
            "give IMAGE@sha256:…, as `playground build --push` prints it",
        )
    if certificate.digest != digest[1]:
        told = certificate.digest or "no image"
        raise CertificateError(f"the certificate is of {told}, the image is {digest[1]}", "check the image anew")
    if not certificate.results:
        raise CertificateError("the certificate tells of no check", "check the image anew")
    if certificate.failures:
        names = ", ".join(each.name for each in certificate.failures)
        raise CertificateError(f"the certificate says that these failed: {names}", "mend them, and check anew")
