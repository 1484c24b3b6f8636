"""How the running service speaks with its callers and of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.settings.fields.about import ONE_LINE, SERVICE_ID, about
from playground.settings.kinds import Choice, Switch, Text, Whole, is_hosts, is_origins, is_printable, is_url_path


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class ServerFields:
    """What only the running service needs."""

    name: str = field(
        metadata=about("service", SERVICE_ID, "the service's name; by default from the package's", env="GAE_SERVICE")
    )
    project_name: str | None = field(
        default=None,
        metadata=about("PROJECT_NAME", Text(ONE_LINE, is_printable), "the Google Cloud project that the service is in"),
    )
    url_prefix: str = field(
        default="",
        metadata=about(
            "URL_PREFIX",
            Text("a path, like /ships", is_url_path),
            "the path that a proxy in front takes off; X-Forwarded-Prefix of a request wins",
        ),
    )
    log_format: str = field(
        default="auto",
        metadata=about(
            "log_format",
            Choice(("auto", "json", "text")),
            "json: one object a line, for Cloud Logging; text: for people; auto: text on a terminal",
        ),
    )
    validate_responses: bool = field(
        default=False,
        metadata=about(
            "validate_responses", Switch(), "whether answers are held to /api/v1/openapi before they are sent; slow"
        ),
    )
    log_api_calls: bool = field(
        default=True,
        metadata=about(
            "log_api_calls", Switch(), "whether every prediction is logged; off: only those that the service failed at"
        ),
    )
    developer_log: bool = field(
        default=False,
        metadata=about(
            "developer_log", Switch(), "whether the developer page shows the last lines of the log to who may see it"
        ),
    )
    max_tiles_per_request: int = field(
        default=64,
        metadata=about(
            "max_tiles_per_request", Whole(0, 4096), "how many tiles one request may ask for by bbox or geometry"
        ),
    )
    cors_origins: str | None = field(
        default=None,
        metadata=about(
            "CORS_ORIGINS",
            Text("origins like https://maps.example.com, separated by commas, or *", is_origins),
            "whose pages may ask this service from a browser; nobody's if not given",
        ),
    )
    cache_seconds: int = field(
        default=0,
        metadata=about(
            "cache_seconds",
            Whole(0, 31_536_000),
            "how long callers may keep what GET /predictions answers without asking again",
            "seconds",
        ),
    )
    idempotency_seconds: int = field(
        default=3600,
        metadata=about(
            "idempotency_seconds",
            Whole(0, 604_800),
            "how long an answer is given again to its Idempotency-Key; 0: never",
            "seconds",
        ),
    )
    allowed_hosts: str | None = field(
        default=None,
        metadata=about(
            "ALLOWED_HOSTS",
            Text("hosts separated by commas, with or without a port, like cdn.example.com, 10.1.2.3:8080", is_hosts),
            "further hosts that tiles may come from, by redirects or by a request's url; they may be private",
        ),
    )
