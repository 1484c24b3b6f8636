"""Findings for machines: JSON, JUnit, and the certificate that `playground deploy` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from playground.acceptance.model import Finding
from playground.version import __version__
from playground.wrap.certificate import Certificate, CheckResult


def certificate_of(
    findings: Sequence[Finding],
    target: str,
    figures: Mapping[str, float],
    recommended: Mapping[str, Any],
    *,
    image: str = "",
    digest: str = "",
) -> Certificate:
    """The certificate of a run."""
    return Certificate(
        target=target,
        image=image,
        digest=digest,
        playground=__version__,
        results=tuple(
            CheckResult(each.name, each.check.grade, each.verdict.outcome, each.verdict.words) for each in findings
        ),
        figures=dict(figures),
        recommended=dict(recommended),
    )


def as_json(findings: Sequence[Finding], certificate: Certificate) -> dict[str, Any]:
    """The whole run, with why each check matters and how to mend what failed."""
    checks = [
        {
            "name": each.name,
            "group": each.group,
            "grade": each.check.grade,
            "outcome": each.verdict.outcome,
            "words": each.verdict.words,
            "what": each.check.what,
            "why": each.check.why,
            "mend": each.check.mend,
        }
        for each in findings
    ]
    return {
        "target": certificate.target,
        "image": certificate.image,
        "digest": certificate.digest,
        "playground": certificate.playground,
        "passed": not any(each.is_bad for each in findings),
        "checks": checks,
        "figures": certificate.figures,
        "recommended": certificate.recommended,
    }


def as_junit(findings: Sequence[Finding], target: str) -> bytes:
    """As JUnit's XML: a failed check of grade good is no failure there, but told as output."""
    suite = ElementTree.Element("testsuite", name="playground check")
    for each in findings:
        case = ElementTree.SubElement(suite, "testcase", classname=f"{target}.{each.group}", name=each.name)
        words = _printable(each.verdict.words)
        if each.is_bad:
            failure = ElementTree.SubElement(case, "failure", message=f"{each.check.grade}: {words}")
            failure.text = f"{words}\n\nwhy: {each.check.why}\nmend: {each.check.mend}"
        elif each.verdict.outcome == "skipped":
            ElementTree.SubElement(case, "skipped", message=words)
        else:
            ElementTree.SubElement(case, "system-out").text = f"{each.verdict.outcome}: {words}"
    suite.set("tests", str(len(findings)))
    suite.set("failures", str(sum(each.is_bad for each in findings)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(each.verdict.outcome == "skipped" for each in findings)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _printable(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(sign for sign in text if sign in "\n\t" or (sign >= " " and sign not in "\ufffe\uffff"))
