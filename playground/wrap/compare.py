"""What wrapping changed in a partner's image, file by file: the proof that it changed no package."""

from __future__ import annotations

import msgspec

from playground.wrap.image.layers import Entry
from playground.wrap.image.opening import RawImage
from playground.wrap.image.pythons import find_interpreters
from playground.wrap.image.report import tree_of
from playground.wrap.image.tree import FileTree

OURS = ("opt/playground", "home/playground")
"""Folders that wrapping adds."""
EXPECTED = ("etc/passwd", "etc/group")
"""Files that get a line: the user of the service."""
API = frozenset(
    f"api/{name}" for name in ("app.py", "app.yaml", "app_utils.py", "gunicorn.conf.py", "playground_interfaces")
)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What is different.

    Attributes:
        packages: how many packages the partner's Pythons have.
        changed_packages: those that were added, taken away or got another version, or a file of which changed.
        changed, removed, added: paths of the partner's, without what is expected.
        expected: paths that wrapping changes on purpose.
        layers_kept: whether the partner's layers are in the new image as they were, bit for bit.
        added_bytes: by which the image grew, uncompressed.
    """

    packages: int
    changed_packages: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]
    expected: tuple[str, ...]
    layers_kept: bool
    added_bytes: int

    @property
    def is_untouched(self) -> bool:
        """Whether the partner's files are as they were."""
        return not (self.changed_packages or self.changed or self.removed or self.added)


def compare(before: RawImage, after: RawImage) -> Comparison:
    """Hold an image against the one that was made of it.

    Args:
        before, after: both read with ``hash_files``.
    """
    trees = tree_of(before), tree_of(after)
    old, new = ({entry.path: entry for entry in tree.walk()} for tree in trees)
    changed = {path for path in old.keys() & new.keys() if _facts(old[path]) != _facts(new[path])}
    removed = old.keys() - new.keys()
    added = {path for path in new.keys() - old.keys() if not _is_ours(new[path])}
    expected = {path for path in changed if path in EXPECTED}
    changed -= expected
    # The links in /api, their folder and /home are expected where they are new.
    packages = [_packages(tree) for tree in trees]
    moved = {name for name, version in packages[0] ^ packages[1]}
    touched = {
        f"a file of {folder}: {path}"
        for folder in {folder for each in find_interpreters(trees[0]) for folder in each.folders}
        for path in changed | removed | added
        if f"/{path}".startswith(f"{folder}/")
    }
    digests = [layer.digest for layer in before.layers]
    return Comparison(
        packages=len(packages[0]),
        changed_packages=tuple(sorted(moved | touched)),
        changed=tuple(sorted(changed)),
        removed=tuple(sorted(removed)),
        added=tuple(sorted(added)),
        expected=tuple(sorted(expected)),
        layers_kept=[layer.digest for layer in after.layers][: len(digests)] == digests,
        added_bytes=sum(each.size for each in after.layers) - sum(each.size for each in before.layers),
    )


def _is_ours(entry: Entry) -> bool:
    path = entry.path
    if any(path == folder or path.startswith(f"{folder}/") for folder in OURS):
        return True
    if entry.kind == "link":
        return path in API and entry.target.startswith("/opt/playground/app/")
    return (entry.kind == "dir" and path in ("api", "opt", "home")) or path in EXPECTED


def _packages(tree: FileTree) -> set[tuple[str, str]]:
    """(name and folder, version) of every package of the partner's Pythons."""
    theirs = (each for each in find_interpreters(tree) if not each.prefix.startswith("/opt/playground"))
    return {(f"{package.name} in {package.folder}", package.version) for each in theirs for package in each.packages}


def _facts(entry: Entry) -> tuple[object, ...]:
    if entry.kind == "dir":
        return ("dir", entry.mode, entry.uid, entry.gid)
    return (entry.kind, entry.size, entry.mode, entry.uid, entry.gid, entry.target, entry.digest)
