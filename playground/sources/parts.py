"""Parts of one large file: on this machine, or on a web server that answers range requests."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from playground.errors import SourceSettingsError, TileSourceError
from playground.fetching.urls import UrlError, without_secrets

if TYPE_CHECKING:
    from playground.fetching.policy import FetchPolicy


class ReplacedError(Exception):
    """The file is another one than when its first byte was read."""


class LocalFile:
    """Read by pread, not through mmap: a file that is cut short under a map kills the process (SIGBUS)."""

    def __init__(self, text: str) -> None:
        path = Path(text).expanduser()
        if not path.is_file():
            raise SourceSettingsError(f"there is no file {text}", "give the path of a file, or its http address")
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise SourceSettingsError(f"{text} cannot be opened: {error.strerror}") from error
        self._name = path.name
        self.policy = None

    def read(self, offset: int, length: int, deadline: float | None = None) -> bytes:
        """The bytes from ``offset`` on, fewer than ``length`` where the file ends.

        Raises:
            TileSourceError: not readable any more.
        """
        try:
            return os.pread(self._file.fileno(), length, offset)
        except (OSError, ValueError, OverflowError) as error:
            raise TileSourceError(f"{self._name} cannot be read: {error}") from error

    def size(self) -> int | None:
        """In bytes; None where only reading tells."""
        return os.fstat(self._file.fileno()).st_size

    def outcomes(self) -> dict[str, int]:
        """See ``TileSource.outcomes``."""
        return {}

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


class RemoteFile:
    """As LocalFile, by HTTP. The file's ETag, if it has one, tells when another file has taken its place.

    Args:
        text: http or https; a user and password in it are sent as Basic credentials.
        policy: what the configuration says about fetching; the address's host is added to it.
    """

    def __init__(self, text: str, policy: FetchPolicy | None) -> None:
        # Imported here, because files need no HTTP client.
        from playground.fetching.client import open_client  # noqa: PLC0415
        from playground.fetching.credentials import Credentials, basic  # noqa: PLC0415
        from playground.fetching.policy import FetchPolicy  # noqa: PLC0415

        self._shown = without_secrets(text)
        parts = urlsplit(text)
        user, _, place = parts.netloc.rpartition("@")
        self._url = urlunsplit(parts._replace(netloc=place))
        policy = policy or FetchPolicy()
        if user:
            policy = dataclasses.replace(policy, credentials=Credentials((basic(unquote(user)),)))
        try:
            policy = policy.naming(self._url)
        except UrlError as error:
            raise SourceSettingsError(f"{self._shown} {error}", "write https://host/name") from None
        self.policy = policy
        self._client = open_client(policy)
        self._etag: str | None = None

    def read(self, offset: int, length: int, deadline: float | None = None) -> bytes:
        """As LocalFile.

        Raises:
            ReplacedError: the file has changed since it was last read from its start.
            TileSourceError, TileTimeoutError: as ``Client.get``; or the server gives no parts.
        """
        if length <= 0:
            return b""
        last = offset + length - 1
        answer = self._client.get(self._url, deadline=deadline, byte_range=(offset, last), max_bytes=length)
        if answer.status != 206:
            said = {
                401: "it wants credentials, or other ones",
                403: "it wants credentials, or other ones",
                404: "is the address right?",
                416: "the file is shorter than it should be",
            }
            raise TileSourceError(
                f"{self._shown}: the server answers {answer.status}, not with a part of the file (206)",
                said.get(answer.status, "use a server that answers range requests"),
            )
        etag = answer.headers.get("etag")
        if offset == 0:
            self._etag = etag
        elif etag != self._etag:
            raise ReplacedError
        return answer.body

    def size(self) -> int | None:
        return None

    def outcomes(self) -> dict[str, int]:
        return self._client.counts()

    def close(self) -> None:
        self._client.close()
