"""AUTH: api-key. A secret that each caller has; several are valid at once, so that one can follow another."""

from __future__ import annotations

import hmac
import logging
import os
import threading
from pathlib import Path

from werkzeug.datastructures import Headers

from playground.errors import SettingsError, UnauthenticatedError
from playground.serving.guard.bearer import LONGEST, bearer_of
from playground.settings import RunningSettings
from playground.settings.api_keys import KeyHash, digest_of, read_api_keys, read_key_hashes

logger = logging.getLogger(__name__)

HINT = "send your key as X-API-Key: KEY, or as Authorization: Bearer KEY; a key in the address is not read"


class ApiKeyGuard:
    """Knows keys by their hashes. Every one is compared, all the way, whether or not an earlier one fitted."""

    def __init__(self, settings: RunningSettings) -> None:
        self.challenge = f'Bearer realm="{settings.name}"'
        fixed: tuple[KeyHash, ...] = ()
        if settings.api_keys:
            fixed += read_api_keys(settings.api_keys.reveal())
        if settings.api_key_hashes:
            fixed += read_key_hashes(settings.api_key_hashes)
        self._fixed = fixed
        self._file = KeyFile(Path(settings.api_keys_file)) if settings.api_keys_file else None
        if not fixed and not self._file:
            raise SettingsError("AUTH: api-key needs keys: API_KEYS (environment), API_KEYS_FILE or API_KEY_HASHES")

    def admit(self, given: Headers) -> str:
        digest = digest_of(_key_of(given))
        found = ""
        for known in (*self._fixed, *(self._file.keys() if self._file else ())):
            if hmac.compare_digest(known.digest, digest):
                found = known.name
        if not found:
            raise UnauthenticatedError("this key is not, or no longer, valid", HINT)
        return found


def _key_of(given: Headers) -> str:
    keys = given.getlist("X-API-Key")
    if not keys:
        return bearer_of(given, HINT)
    if len(keys) > 1 or "Authorization" in given or len(keys[0]) > LONGEST:
        raise UnauthenticatedError("more than one credential, or too long a one", HINT)
    return keys[0]


class KeyFile:
    """The keys of a file, read again when the file has changed. One that cannot be read any more leaves the last ones.

    Raises:
        SettingsError: it holds no keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._stamp: object = self._stamp_now()
            self._keys = read_api_keys(path.read_text("utf-8"))
        except OSError as error:
            raise SettingsError(f"API_KEYS_FILE: {path} cannot be read: {error.strerror}") from None
        except ValueError:
            words = "holds something that is no key, or none; allowed: key or name:key on a line, 16 signs or more"
            raise SettingsError(f"API_KEYS_FILE: {path} {words}") from None

    def keys(self) -> tuple[KeyHash, ...]:
        """Those of now."""
        with self._lock:
            stamp = self._stamp_or_none()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._keys = read_api_keys(self._path.read_text("utf-8"))
                    logger.info("%s has changed: %d keys are valid", self._path, len(self._keys))
                except (OSError, ValueError):
                    # The file's text is not for the log.
                    logger.error("%s cannot be read, or holds no keys: the former %d stay", self._path, len(self._keys))
            return self._keys

    def _stamp_now(self) -> object:
        told = os.stat(self._path)
        return told.st_mtime_ns, told.st_size, told.st_ino

    def _stamp_or_none(self) -> object:
        try:
            return self._stamp_now()
        except OSError:
            return None
