"""An image in a registry, by the distribution API: its manifest, its configuration, its layers, streamed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import requests

from playground.errors import ImageReadError
from playground.wrap.image.layers import Hashing, Limits
from playground.wrap.image.opening import (
    DIGEST,
    LONGEST_DOCUMENT,
    Progress,
    RawImage,
    RawLayer,
    checked,
    choose_manifest,
    parse,
    read_layer,
    repository_of,
)

ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
TIMEOUT = (10, 60)
LOCAL = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?")
"""Registries that are asked without TLS, as Docker does it."""


def split_reference(reference: str) -> tuple[str, str, str]:
    """A reference as (host, repository, tag or digest), Docker Hub's short names spelled out."""
    name = repository_of(reference)
    first, _, rest = name.partition("/")
    if rest and (re.search(r"[.:]", first) or first == "localhost"):
        host, repository = first, rest
    else:
        host, repository = "docker.io", name if "/" in name else f"library/{name}"
    tag = reference.partition("@")[2] or reference.rpartition("/")[2].partition(":")[2] or "latest"
    return ("registry-1.docker.io" if host == "docker.io" else host), repository, tag


class Registry:
    """One repository of a registry; asks for a token when the registry wants one."""

    def __init__(self, host: str, repository: str) -> None:
        self._host, self._repository = host, repository
        self._root = f"{'http' if LOCAL.fullmatch(host) else 'https'}://{host}"
        self._session = requests.Session()
        self._session.trust_env = True
        self._authorization = ""

    def get(self, path: str, stream: bool = False) -> requests.Response:
        """``manifests/…`` or ``blobs/…``.

        Raises:
            ImageReadError: the registry does not give it.
        """
        url = f"{self._root}/v2/{self._repository}/{path}"
        answer = self._ask(url, stream)
        if answer.status_code == 401 and (challenge := answer.headers.get("WWW-Authenticate")):
            answer.close()
            self._authorize(challenge)
            answer = self._ask(url, stream)
        if answer.status_code != 200:
            reasons = {
                401: ("asks for credentials", "`docker login` to it"),
                403: ("does not let you have it", "`docker login` with an account that may read it"),
                404: ("does not have it", "mind the name and the tag"),
            }
            words, hint = reasons.get(answer.status_code, (f"answers {answer.status_code}", "try again later"))
            raise ImageReadError(f"{self._host} {words}: {self._repository} {path}", hint)
        return answer

    def document(self, path: str) -> bytes:
        """A small answer; held against its digest where ``path`` ends with one."""
        with self.get(path, stream=True) as answer:
            body: bytes = answer.raw.read(LONGEST_DOCUMENT + 1, decode_content=True)
        wanted = path.rpartition("/")[2]
        if len(body) > LONGEST_DOCUMENT or (wanted.startswith("sha256:") and digest_of(body) != wanted):
            raise ImageReadError(f"{self._host} gives something else for {path}", "try again; do not use it")
        return body

    def layer(self, digest: str, limits: Limits, hash_files: bool, progress: Progress | None) -> RawLayer:
        """A layer, held against its digest."""
        with self.get(f"blobs/{digest}", stream=True) as answer:
            hashing = Hashing(answer.raw)
            layer = read_layer(hashing, limits, hash_files, progress)
            if hashing.digest() != digest:
                raise ImageReadError(
                    f"{self._host} gives something else for layer {digest}", "try again; do not use it"
                )
        return layer

    def _ask(self, url: str, stream: bool) -> requests.Response:
        headers = {"Accept": ACCEPTED, "Accept-Encoding": "identity"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        try:
            return self._session.get(url, headers=headers, stream=stream, timeout=TIMEOUT)
        except requests.RequestException as error:
            words = f"{self._host} cannot be reached: {type(error).__name__}"
            raise ImageReadError(words, "mind the image's name; or `docker pull` it first") from error

    def _authorize(self, challenge: str) -> None:
        scheme, _, rest = challenge.partition(" ")
        login = credentials(self._host)
        if scheme.lower() == "basic" and login:
            self._authorization = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        if scheme.lower() != "bearer":
            return
        told = dict(re.findall(r'([a-z]+)="([^"]*)"', rest))
        realm = told.pop("realm", "")
        if not realm.startswith("https://") and not (realm.startswith("http://") and LOCAL.fullmatch(self._host)):
            raise ImageReadError(f"{self._host} sends for its token to {realm!r}, without TLS", "do not use it")
        asked = {key: value for key, value in told.items() if key in ("service", "scope")}
        try:
            answer = requests.get(realm, params=asked, auth=login, timeout=TIMEOUT)
            answer.raise_for_status()
            body = answer.json()
            self._authorization = f"Bearer {body.get('token') or body['access_token']}"
        except (requests.RequestException, ValueError, KeyError, AttributeError) as error:
            words = f"{self._host} gives no token for {self._repository}: {type(error).__name__}"
            raise ImageReadError(words, "`docker login` to it") from error


def credentials(host: str) -> tuple[str, str] | None:
    """What `docker login` left in its config.json; credential helpers are not asked."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    key = "https://index.docker.io/v1/" if host == "registry-1.docker.io" else host
    try:
        entry: Any = json.loads((folder / "config.json").read_bytes())["auths"][key]
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    except (OSError, ValueError, KeyError, TypeError, binascii.Error):
        return None
    return user, password


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def read_registry(reference: str, limits: Limits, hash_files: bool, progress: Progress | None) -> RawImage:
    """An image of a registry.

    Raises:
        ImageReadError: it is not there, not ours to read, or not what its digest says.
    """
    host, repository, tag = split_reference(reference)
    registry = Registry(host, repository)
    first = registry.document(f"manifests/{tag}")
    digest, manifest = choose_manifest(first, lambda each: registry.document(f"manifests/{each}"), digest_of(first))
    config = str(manifest["config"].get("digest"))
    wanted = [str(each.get("digest")) for each in manifest["layers"]]
    if not all(DIGEST.fullmatch(each) for each in (config, *wanted)):
        raise ImageReadError(f"{reference}: its manifest names no digests", "push it anew")
    layers = [registry.layer(each, limits, hash_files, progress) for each in wanted]
    return checked(RawImage(reference, digest, config, parse(registry.document(f"blobs/{config}")), layers))
