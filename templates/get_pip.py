"""Puts pip into the environment of the Python that runs this: the one that Python brings, else a locked one.

    python -I -B get_pip.py [--index-url URL]

Not every image has ensurepip, and where it has, running it would leave compiled files among the partner's own.
"""

import hashlib
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile
import urllib.parse
import urllib.request

VERSION = "26.3"
HASHES = (
    "6c36ae7da8695be67e3cd9f7d87919667ced53f57ce2ede75d89b5912ed2bc4c",
    "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13",
)


def bundled():
    """The wheel beside this Python's ensurepip, or in Debian's and Fedora's folder; None if it brings none."""
    folders = [pathlib.Path(sysconfig.get_path("stdlib")) / "ensurepip" / "_bundled"]
    folders.append(pathlib.Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/usr/share/python-wheels"))
    return next((path for folder in folders for path in sorted(folder.glob("pip-*.whl"))), None)


def fetch(index, folder):
    """The locked wheel, from the index, held against its hash."""
    page_url = index.rstrip("/") + "/pip/"
    page = urllib.request.urlopen(page_url, timeout=60).read().decode()
    link = re.search(rf'"([^"]*/pip-{re.escape(VERSION)}-py3-none-any\.whl)[#"]', page)
    if link is None:
        sys.exit(f"playground: {page_url} has no wheel of pip {VERSION}")
    wheel = urllib.request.urlopen(urllib.parse.urljoin(page_url, link[1]), timeout=60).read()
    if hashlib.sha256(wheel).hexdigest() not in HASHES:
        sys.exit(f"playground: {page_url} gives another pip {VERSION} than what was locked: do not use it")
    path = pathlib.Path(folder) / f"pip-{VERSION}-py3-none-any.whl"
    path.write_bytes(wheel)
    return path


def main(arguments):
    given = dict(re.findall(r"(--index-url)[= ](\S+)", " ".join(arguments)))
    with tempfile.TemporaryDirectory() as folder:
        try:
            wheel = bundled() or fetch(given.get("--index-url", "https://pypi.org/simple"), folder)
        except OSError as error:
            sys.exit(
                f"playground: pip cannot be fetched: {error}; install ca-certificates in the image, or python3-venv"
            )
        command = [
            sys.executable,
            "-I",
            "-B",
            f"{wheel}/pip",
            "--isolated",
            "--no-input",
            "--disable-pip-version-check",
        ]
        sys.exit(subprocess.call([*command, "install", "--quiet", "--no-index", "--no-deps", str(wheel)]))


if __name__ == "__main__":
    main(sys.argv[1:])
