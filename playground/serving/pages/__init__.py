"""The pages for people: the map at the front, and the developer page. What they show, the service's own endpoints say.

``views`` gives out the pages and their files, ``imagery`` the tiles of the configured source, ``facts`` what the pages
must know, ``joining`` makes one collection of many tiles.
"""

from __future__ import annotations

from playground.serving.pages import facts, imagery, joining, views  # they add their endpoints
from playground.serving.pages.blueprint import blueprint

__all__ = ["blueprint", "facts", "imagery", "joining", "views"]
