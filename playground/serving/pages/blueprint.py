"""The blueprint that the modules beside this one add their endpoints to."""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("pages", __name__)
