"""A build context becomes an image: docker or podman does the work, ours are the pin, the progress and the words."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from playground.errors import BuildError
from playground.wrap.image.opening import engine_digest, repository_of

Say = Callable[[str], None]
STEP = re.compile(r"^(?:Step (\d+/\d+) : |STEP (\d+/\d+): |#\d+ \[[^\]]*?(\d+/\d+)\] )(.*)$")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CAUSES: tuple[tuple[str, str], ...] = (
    (r"^(?:#\d+ [\d.]+ )?playground: (.+)", "{0}"),
    (r"No space left on device", "the engine's disk is full: docker system prune"),
    (
        r"THESE PACKAGES DO NOT MATCH THE HASHES",
        "the package index gave something else than what was locked: do not use it",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "the image does not trust the package index's certificate: install ca-certificates in it",
    ),
    (
        r"Temporary failure in name resolution|NewConnectionError|Network is unreachable|Connection timed out",
        "the build cannot reach the package index: mind the engine's network (--network host), or a proxy",
    ),
    (
        r"No matching distribution found for (\S+)",
        "there is no wheel of {0} for the image's Python, libc and processor: look with `playground inspect-image`",
    ),
    (r"exec format error", "the image is for another processor than this machine's"),
    (r"exec: \"/bin/sh\"|/bin/sh: no such file", "the image has no shell: generate with --inspect"),
    (
        r"manifest unknown|manifest for .* not found|pull access denied|repository does not exist",
        "the engine cannot pull the image: mind its name, tag and your login",
    ),
    (r"toomanyrequests", "the registry has had enough of this address: log in, or wait"),
    (
        r"[Pp]ermission denied.*docker|docker daemon|connect to the Docker",
        "no engine answers: is it running, may you use it?",
    ),
)
"""What a failing build prints -> the likely cause."""


@dataclasses.dataclass(frozen=True)
class Built:
    """An image that was built: its tag, its id, the base it was made of, and where it was pushed to, by digest."""

    tag: str
    image_id: str
    base: str = ""
    pushed: str = ""

    @property
    def reference(self) -> str:
        """By digest: in the registry where it was pushed, else in the engine."""
        return self.pushed or self.image_id


def build_image(
    context: Path,
    tag: str,
    engine: str = "docker",
    options: Sequence[str] = (),
    say: Say = print,
) -> Built:
    """Build a context.

    Args:
        context: what `playground generate` wrote.
        tag: the image's name.
        engine: docker or podman.
        options: more of the engine's own, like ``--network host``.
        say: told of each line of progress.

    Raises:
        BuildError: with the failing step and its likely cause.
    """
    if shutil.which(engine) is None:
        raise BuildError(f"{engine} is not installed", "install it, or name another with --engine")
    dockerfile = context / "Dockerfile"
    try:
        text = dockerfile.read_text("utf-8")
    except OSError as error:
        raise BuildError(f"{dockerfile}: {error.strerror}", "name a folder that `playground generate` wrote") from error
    named = re.search(r'^ARG base_id="((?:[^"\\]|\\.)*)"$', text, re.MULTILINE)
    asked = [each.partition("=")[2] for each in options if each.startswith("base_id=")]
    base = asked[-1] if asked else re.sub(r"\\(.)", r"\1", named[1]) if named else ""
    if not base:
        raise BuildError(f"{dockerfile} names no base", "generate the context, or give --build-arg base_id=IMAGE")
    base = pin_base(base, engine, say)
    pin = ["--build-arg", f"base_id={base}"]
    run_engine([engine, "build", *plain(engine), "--tag", tag, *options, *pin, str(context)], say)
    done = ask_engine([engine, "image", "inspect", "--format", "{{.Id}}", "--", tag])
    image_id = done.strip()
    return Built(tag, image_id if image_id.startswith("sha256:") else f"sha256:{image_id}", base)


def pin_base(base: str, engine: str, say: Say) -> str:
    """A name of just the image that ``base`` means now; pulled where the engine does not have it.

    Raises:
        BuildError: the engine cannot get it.
    """
    digest = engine_digest(engine, base)
    if digest is None:
        run_engine([engine, "pull", base], say)
        digest = engine_digest(engine, base)
    if digest:
        pinned = f"{repository_of(base)}@{digest}"
    else:
        # Made on this machine: no registry knows it. BuildKit takes no bare id, so the id becomes a name of its own.
        found = ask_engine([engine, "image", "inspect", "--format", "{{.Id}}", "--", base]).strip()
        pinned = f"playground-base:{found.removeprefix('sha256:')}"
        ask_engine([engine, "tag", base, pinned])
    say(f"base: {base} is {pinned}")
    return pinned


def push_image(built: Built, engine: str = "docker", say: Say = print) -> Built:
    """Push it; the digest that the registry gave it.

    Raises:
        BuildError: the registry does not take it.
    """
    run_engine([engine, "push", built.tag], say)
    digest = engine_digest(engine, built.tag)
    if not digest:
        raise BuildError(f"{built.tag} was pushed, but {engine} does not know its digest", "ask the registry for it")
    return dataclasses.replace(built, pushed=f"{repository_of(built.tag)}@{digest}")


def plain(engine: str) -> list[str]:
    """The option for progress without a terminal: BuildKit's; the classic builder has no other."""
    return ["--progress", "plain"] if engine == "docker" and os.environ.get("DOCKER_BUILDKIT") == "1" else []


def run_engine(command: Sequence[str], say: Say) -> None:
    """Run the engine, its lines told as they come.

    Raises:
        BuildError: it fails; with the step, the cause and its last words.
    """
    step, last = "", deque[str](maxlen=60)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace"
    )
    assert process.stdout is not None
    try:
        for raw in process.stdout:
            line = COLOURS.sub("", raw).rstrip()
            if found := STEP.match(line):
                step = f"step {found[1] or found[2] or found[3]}, {found[4]}"
            if line:
                last.append(line)
                say(line)
    finally:
        if process.poll() is None and process.stdout.closed:
            process.kill()
        process.wait()
    if process.returncode:
        raise BuildError(*explain(" ".join(command[:2]), step, list(last)))


def explain(what: str, step: str, lines: Sequence[str]) -> tuple[str, str]:
    """The message and the hint of a failed build."""
    cause = ""
    for pattern, words in CAUSES:
        match = next((match for line in lines if (match := re.search(pattern, line))), None)
        if match:
            cause = words.format(*match.groups())
            break
    words = step if len(step) <= 100 else step[:97] + "..."
    message = f"{what} failed" + (f" at {words}" if words else "") + (f": {cause}" if cause else "")
    if cause:
        return message, "what it printed is above"
    said = [line for line in lines if re.search(r"error|fail|cannot|denied", line, re.IGNORECASE)] or list(lines)
    return f"{message}: {said[-1] if said else 'it said nothing'}", "what it printed is above"


def ask_engine(command: Sequence[str]) -> str:
    """What a short command of the engine prints.

    Raises:
        BuildError: it fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(*explain(" ".join(command[:3]), "", done.stderr.strip().splitlines()))
    return done.stdout
