"""The files of an image as a container sees them: its layers one over the other, whiteouts respected."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from playground.wrap.image.layers import Entry

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MOST_LINKS = 40


class Node:
    """A name in the tree; ``children`` is None for what is no folder."""

    __slots__ = ("children", "entry")

    def __init__(self, entry: Entry, children: dict[str, Node] | None = None) -> None:
        self.entry, self.children = entry, children


class FileTree:
    """A file system in memory, with names and facts but no contents beyond those kept."""

    def __init__(self) -> None:
        self._root = Node(Entry("", "dir", mode=0o755), {})

    def apply(self, entries: Iterable[Entry]) -> None:
        """Lay a layer over what is there; its whiteouts hide lower layers, never itself."""
        entries = list(entries)
        for entry in entries:
            folder, _, name = entry.path.rpartition("/")
            if not name.startswith(WHITEOUT):
                continue
            parent = self._folder(folder, make=False)
            if parent is None or parent.children is None:
                continue
            if name == OPAQUE:
                parent.children.clear()
            else:
                parent.children.pop(name.removeprefix(WHITEOUT), None)
        for entry in entries:
            folder, _, name = entry.path.rpartition("/")
            if name.startswith(WHITEOUT):
                continue
            parent = self._folder(folder, make=True)
            if parent is not None and parent.children is not None:
                self._put(parent, name, entry)

    def _put(self, parent: Node, name: str, entry: Entry) -> None:
        assert parent.children is not None
        if entry.kind == "hard":
            found = self._node(entry.target)
            linked = found.entry if found is not None else Entry(entry.path, "other")
            parent.children[name] = Node(linked._replace(path=entry.path))
            return
        before = parent.children.get(name)
        children = None
        if entry.kind == "dir":
            children = before.children if before is not None and before.children is not None else {}
        parent.children[name] = Node(entry, children)

    def _folder(self, path: str, make: bool) -> Node | None:
        """The folder of a layer's entry; links on the way are followed, as an engine does it."""
        node = self._root
        walked: list[str] = []
        for part in path.split("/") if path else ():
            if node.children is None:
                return None
            walked.append(part)
            child = node.children.get(part)
            if child is not None and child.entry.kind == "link":
                real = self.resolve("/".join(walked))
                child = self._node(real) if real is not None else None
            elif child is None and make:
                child = node.children[part] = Node(Entry("/".join(walked), "dir", mode=0o755), {})
            if child is None:
                return None
            node = child
        return node

    def _node(self, path: str) -> Node | None:
        node = self._root
        for part in path.split("/") if path else ():
            child = node.children.get(part) if node.children is not None else None
            if child is None:
                return None
            node = child
        return node

    def resolve(self, path: str) -> str | None:
        """The real path, all links followed inside the image; None where nothing is, or links go in a ring."""
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        walked: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                walked = walked[:-1]
                continue
            node = self._node("/".join([*walked, part]))
            if node is None:
                return None
            if node.entry.kind != "link":
                walked.append(part)
                continue
            links += 1
            if links > MOST_LINKS or len(waiting) > 4096:
                return None
            if node.entry.target.startswith("/"):
                walked = []
            waiting += reversed(node.entry.target.split("/"))
        return "/".join(walked)

    def find(self, path: str, follow: bool = True) -> Entry | None:
        """The entry of a path, links followed or (the last one) not."""
        if not follow:
            folder, _, name = path.strip("/").rpartition("/")
            real = self.resolve(folder)
            node = self._node(posixpath.join(real, name)) if real is not None else None
        else:
            real = self.resolve(path)
            node = self._node(real) if real is not None else None
        return node.entry if node is not None else None

    def exists(self, path: str) -> bool:
        return self.find(path) is not None

    def content(self, path: str) -> bytes | None:
        """The first bytes of a file, where they are kept."""
        entry = self.find(path)
        return entry.content if entry is not None else None

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none where there is no such folder."""
        real = self.resolve(folder)
        node = self._node(real) if real is not None else None
        return sorted(node.children) if node is not None and node.children is not None else []

    def walk(self) -> Iterator[Entry]:
        """Every entry below the root, folders before what they hold, in order of names."""
        waiting = [("", self._root)]
        while waiting:
            path, node = waiting.pop()
            if path:
                yield node.entry._replace(path=path)
            for name in sorted(node.children or (), reverse=True):
                waiting.append((posixpath.join(path, name), node.children[name]))  # type: ignore[index]
