"""The settings: each field below is the single definition of one (key, what is allowed, default, unit, help)."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from playground.settings.api_keys import is_api_keys, is_key_hashes
from playground.settings.description import DescriptionBlock
from playground.settings.kinds import (
    Block,
    Choice,
    Hidden,
    Kind,
    Names,
    Number,
    Switch,
    Text,
    Whole,
    is_attribute,
    is_dotted_name,
    is_headers,
    is_hosts,
    is_image,
    is_keys_url,
    is_origins,
    is_printable,
    is_project_id,
    is_python_name,
    is_rate,
    is_secret_line,
    is_service_id,
    is_url_path,
)
from playground.settings.secret import Secret

SERVICE_ID = Text("lowercase letters, digits and hyphens, at most 63, no hyphen at either end", is_service_id)
PROJECT_ID = Text("a Google Cloud project id: 6 to 30 lowercase letters, digits and hyphens", is_project_id)
ONE_LINE = "one line of text"
DOTTED = "the name of a function, like ship_detection.hooks.sharpen"


@dataclass(frozen=True)
class About:
    """One setting: ``key`` as written in a file, ``env`` the environment variable of the running service."""

    key: str
    kind: Kind
    help: str
    unit: str
    env: str

    @property
    def allowed(self) -> str:
        return f"{self.kind.allowed} ({self.unit})" if self.unit else self.kind.allowed


def about(key: str, kind: Kind, text: str, unit: str = "", env: str = "") -> dict[str, About]:
    """The metadata of a settings field."""
    return {"about": About(key, kind, text, unit, env or key.upper())}


@dataclass(frozen=True, kw_only=True)
class PredictorSettings:
    """What service.yaml and the running service have in common."""

    predictor_package: str = field(
        metadata=about(
            "PREDICTOR_PACKAGE",
            Text("a name that Python can import, like ship_detection.predictor", is_dotted_name),
            "the module that holds the predictor's class",
        )
    )
    predictor_class: str = field(
        metadata=about(
            "PREDICTOR_CLASS",
            Text("the name of a Python class, like ShipDetector", is_python_name),
            "the class that is the predictor",
        )
    )
    zoom_level: int = field(
        metadata=about("ZOOM_LEVEL", Whole(0, 30), "the zoom of the tiles that the predictor reads")
    )
    padding: int = field(
        default=0, metadata=about("PADDING", Whole(0, 256), "pixels of the neighbours added on each side", "pixels")
    )
    tiles: str | None = field(
        default=None,
        metadata=about("TILES", Text(ONE_LINE, is_printable), "where tiles come from: a URL template or a file"),
    )
    fill: str = field(
        default="reflect",
        metadata=about(
            "FILL", Choice(("reflect", "edge", "nodata")), "what the padding holds where there is no imagery"
        ),
    )
    predictor_python: str | None = field(
        default=None,
        metadata=about(
            "PREDICTOR_PYTHON", Text(ONE_LINE, is_printable), "the partner's interpreter: a path or a command"
        ),
    )
    predictor_isolation: str = field(
        default="process",
        metadata=about(
            "PREDICTOR_ISOLATION",
            Choice(("process", "none")),
            "process: the predictor runs in a process of its own; none: inside the server, for debuggers",
        ),
    )
    pixel_convention: str = field(
        default="edge",
        metadata=about(
            "PIXEL_CONVENTION",
            Choice(("edge", "index")),
            "edge: a full tile spans 0 to 256, on pixel edges; index: it is labelled 0 to 255, by pixel numbers",
        ),
    )
    padding_results: str = field(
        default="keep",
        metadata=about(
            "PADDING_RESULTS",
            Choice(("keep", "clip", "own")),
            "what lies in the padding: keep it, clip it away, or let each object be its own tile's alone",
        ),
    )
    simplify_tolerance: Decimal = field(
        default=Decimal(0),
        metadata=about(
            "SIMPLIFY_TOLERANCE",
            Number(Decimal(0), Decimal(256)),
            "how far an edge may move when vertices are left out; 0 keeps all",
            "pixels",
        ),
    )
    min_area: Decimal = field(
        default=Decimal(0),
        metadata=about("MIN_AREA", Number(Decimal(0), Decimal(10**6)), "polygons below are dropped", "square pixels"),
    )
    min_confidence: Decimal = field(
        default=Decimal(0),
        metadata=about("MIN_CONFIDENCE", Number(Decimal(0), Decimal(1)), "objects below are dropped"),
    )
    class_names: dict[str, str] | None = field(
        default=None, metadata=about("CLASS_NAMES", Names(), "the names that answers give to the predictor's classes")
    )
    preprocessor: str | None = field(
        default=None,
        metadata=about("preprocessor", Text(DOTTED, is_attribute), "called with each tile; returns the one to predict"),
    )
    postprocessor: str | None = field(
        default=None,
        metadata=about(
            "postprocessor",
            Text(DOTTED, is_attribute),
            "called with each result and its tile; returns the result to answer",
        ),
    )
    additional_checks: str | None = field(
        default=None,
        metadata=about(
            "additional_checks",
            Text(DOTTED, is_attribute),
            "called with each tile; raises PredictError or ValueError for one that shall not be predicted",
        ),
    )
    metadata: dict[str, Any] | None = field(
        default=None,
        metadata=about(
            "metadata", Block("a mapping"), "what shall be known of the predictor: readiness and describe show it"
        ),
    )
    workers: int = field(
        default=2, metadata=about("workers", Whole(1, 64), "server processes, each with its predictor")
    )
    backlog: int = field(
        default=6,
        metadata=about("backlog", Whole(0, 2048), "how many requests wait for a predictor before the next gets 503"),
    )
    timeout: int = field(
        default=60, metadata=about("timeout", Whole(1, 3600), "how long one request may take", "seconds")
    )
    fetch_timeout: int | None = field(
        default=None,
        metadata=about(
            "fetch_timeout", Whole(1, 3600), "how long its tiles may take; a third of timeout if not given", "seconds"
        ),
    )
    predict_timeout: int | None = field(
        default=None,
        metadata=about(
            "predict_timeout",
            Whole(1, 3600),
            "how long the predictor may take; nine tenths of timeout if not given",
            "seconds",
        ),
    )
    load_timeout: int = field(
        default=600, metadata=about("load_timeout", Whole(1, 3600), "how long loading the model may take", "seconds")
    )
    warmup: str = field(
        default="sample",
        metadata=about(
            "WARMUP", Choice(("sample", "none")), "sample: a grey tile is predicted before the service is ready"
        ),
    )
    predictors: list[dict[str, Any]] | None = field(
        default=None,
        metadata=about(
            "PREDICTORS",
            Block("a list of mappings: name, namespace, version, and settings of each predictor's own", many=True),
            "several predictors in one service, each at /namespace/name/version/; the first answers at /predict too",
        ),
    )
    endpoints: list[dict[str, Any]] | None = field(
        default=None,
        metadata=about(
            "ENDPOINTS",
            Block("a list of mappings: class, action, and namespace, name, version", many=True),
            "endpoints that are no prediction: classes of the server's own Python, see partner.md",
        ),
    )
    max_requests: int = field(
        default=0,
        metadata=about(
            "max_requests", Whole(0, 10**9), "predictions after which the predictor is replaced; 0 for never"
        ),
    )
    memory_limit_mb: int = field(
        default=0,
        metadata=about(
            "memory_limit_mb",
            Whole(0, 10**6),
            "resident memory after which the predictor is replaced between two requests; 0 for no limit",
            "MB",
        ),
    )

    batch_size: int = field(
        default=8,
        metadata=about(
            "batch_size",
            Whole(1, 256),
            "how many waiting tiles go to predict_batch at once, where the class has that method; 1 for one by one",
        ),
    )
    batch_wait_ms: int = field(
        default=0,
        metadata=about(
            "batch_wait_ms",
            Whole(0, 10_000),
            "how long a tile waits for others to be predicted with; 0: only those go together that wait anyway",
            "milliseconds",
        ),
    )
    share_model: bool = field(
        default=False,
        metadata=about(
            "share_model",
            Switch(),
            "whether the workers share the memory of one model, loaded once and forked; see docs/partner.md",
        ),
    )
    description: dict[str, Any] | None = field(
        default=None,
        metadata=about(
            "description",
            DescriptionBlock(),
            "what /api/v1/describe tells of the service; what is not given is measured (as a variable: JSON)",
        ),
    )
    auth: str | None = field(
        default=None,
        metadata=about(
            "AUTH",
            Choice(("none", "api-key", "bearer-jwt", "iap")),
            "who may use the service; a service that is told nothing does not start, and none lets everybody in",
        ),
    )
    api_keys_file: str | None = field(
        default=None,
        metadata=about(
            "API_KEYS_FILE",
            Text(ONE_LINE, is_printable),
            "AUTH api-key: a file of keys, each key or name:key, a line each; read again when it changes",
        ),
    )
    api_key_hashes: str | None = field(
        default=None,
        metadata=about(
            "API_KEY_HASHES",
            Text("name:HASH or HASH, separated by commas; HASH is the SHA-256 of a key, 64 hex digits", is_key_hashes),
            "AUTH api-key: hashes of keys, which are no secret",
        ),
    )
    jwks_url: str | None = field(
        default=None,
        metadata=about(
            "JWKS_URL",
            Text("an https URL; http only for localhost", is_keys_url),
            "AUTH bearer-jwt: where the issuer's public keys are",
        ),
    )
    jwt_issuer: str | None = field(
        default=None,
        metadata=about("JWT_ISSUER", Text(ONE_LINE, is_printable), "AUTH bearer-jwt: who must have issued a token"),
    )
    jwt_audience: str | None = field(
        default=None,
        metadata=about(
            "JWT_AUDIENCE", Text(ONE_LINE, is_printable), "AUTH bearer-jwt: for whom a token must have been issued"
        ),
    )
    jwt_scope: str | None = field(
        default=None,
        metadata=about(
            "JWT_SCOPE",
            Text("words separated by spaces", is_printable),
            "AUTH bearer-jwt: scopes that tokens must have",
        ),
    )
    iap_audience: str | None = field(
        default=None,
        metadata=about(
            "IAP_AUDIENCE",
            Text("/projects/NUMBER/apps/PROJECT, or /projects/NUMBER/global/backendServices/ID", is_printable),
            "AUTH iap: for whom Google's Identity-Aware Proxy signs",
        ),
    )
    iap_keys_url: str = field(
        default="https://www.gstatic.com/iap/verify/public_key-jwk",
        metadata=about(
            "IAP_KEYS_URL",
            Text("an https URL; http only for localhost", is_keys_url),
            "AUTH iap: where the proxy's public keys are",
        ),
    )
    rate_limit: str | None = field(
        default=None,
        metadata=about(
            "rate_limit",
            Text("a number per second, minute, hour or day, like 100/minute", is_rate),
            "requests of one caller, or of one address where AUTH is none; the next gets 429",
        ),
    )
    proxies: int = field(
        default=0,
        metadata=about(
            "proxies",
            Whole(0, 9),
            "proxies in front that add an address to X-Forwarded-For; the client's is read there for rate_limit",
        ),
    )

    @property
    def fetch_seconds(self) -> float:
        """Seconds that a request's tiles may take."""
        return min(self.fetch_timeout or self.timeout / 3, self.timeout)

    @property
    def predict_seconds(self) -> float:
        """Seconds that the predictor may take for one tile."""
        return min(self.predict_timeout or 0.9 * self.timeout, self.timeout)


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The machine of one App Engine instance."""

    cpu: int = field(default=4, metadata=about("resources.cpu", Whole(1, 80), "processor cores", "cores"))
    memory_gb: Decimal = field(
        default=Decimal("3.2"),
        metadata=about("resources.memory_gb", Number(Decimal("0.1"), Decimal(520)), "memory for the service", "GB"),
    )
    disk_size_gb: int = field(
        default=10,
        metadata=about("resources.disk_size_gb", Whole(10, 10240), "disk, the image included", "GB"),
    )


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(PredictorSettings):
    """A partner's service.yaml. ``warnings`` are problems that stop nothing."""

    image: str | None = field(
        default=None,
        metadata=about(
            "image",
            Text("the reference of a Docker image, like eu.gcr.io/project/my_service:latest", is_image),
            "the partner's Docker image",
        ),
    )
    name: str = field(metadata=about("name", SERVICE_ID, "the App Engine service; by default from the image's name"))
    resources: Resources = field(default_factory=Resources)
    warnings: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class RunningSettings(PredictorSettings):
    """What the running service needs, from its app.yaml and its environment.

    ``several`` are the same for each predictor of PREDICTORS: what it says about itself wins over the rest.
    The service's own values are then those of the first; ``application`` is the metadata that it gives itself.
    """

    name: str = field(
        metadata=about("service", SERVICE_ID, "the service's name; by default from the package's", env="GAE_SERVICE")
    )
    namespace: str = ""
    predictor_name: str = ""
    predictor_version: str = ""
    several: tuple[RunningSettings, ...] = ()
    application: dict[str, Any] | None = None
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
    api_keys: Secret | None = field(
        default=None,
        metadata=about(
            "API_KEYS",
            Hidden("key or name:key, separated by commas or spaces; a key has 16 signs or more", is_api_keys, False),
            "secret, in the environment only: keys of AUTH api-key; several are valid at once",
        ),
    )
    tiles_headers: Secret | None = field(
        default=None,
        metadata=about(
            "TILES_HEADERS",
            Hidden("lines of Name: value, or a JSON object of texts", is_headers),
            "secret: headers that the tile server wants to see",
        ),
    )
    tiles_basic: Secret | None = field(
        default=None,
        metadata=about(
            "TILES_BASIC",
            Hidden("user:password, on one line", lambda text: text.isprintable() and ":" in text),
            "secret: the user and password of the tile server",
        ),
    )
    tiles_bearer: Secret | None = field(
        default=None,
        metadata=about(
            "TILES_BEARER",
            Hidden("a token: letters, digits and signs, no spaces", is_secret_line),
            "secret: the bearer token of the tile server",
        ),
    )
    tiles_token_url: str | None = field(
        default=None,
        metadata=about(
            "TILES_TOKEN_URL",
            Text("a URL, http or https", lambda text: re.match("https?://", text)),
            "where tokens come from (OAuth 2 client credentials); renewed at half their life",
        ),
    )
    tiles_client_id: str | None = field(
        default=None,
        metadata=about("TILES_CLIENT_ID", Text(ONE_LINE, is_printable), "who asks for tokens"),
    )
    tiles_client_secret: Secret | None = field(
        default=None,
        metadata=about(
            "TILES_CLIENT_SECRET", Hidden(ONE_LINE, is_printable), "secret: what proves who asks for tokens"
        ),
    )


def settings_of(cls: type) -> dict[str, tuple[str, About]]:
    """The settings of one of the classes above: key -> (attribute, definition)."""
    found: dict[str, tuple[str, About]] = {}
    for each in dataclasses.fields(cls):
        if each.name == "resources":
            found |= settings_of(Resources)
        elif "about" in each.metadata:
            found[each.metadata["about"].key] = (each.name, each.metadata["about"])
    return found


def docs_table(cls: type) -> list[tuple[str, str, str, str]]:
    """Rows for the documentation: key, what is allowed, default, help."""
    defaults = {**defaults_of(cls), "name": "from the image", "service": "from the package"}
    return [
        (key, each.allowed, _shown(defaults[key]) if key in defaults else "required", each.help)
        for key, (_, each) in settings_of(cls).items()
    ]


def defaults_of(cls: type) -> dict[str, Any]:
    """Defaults by key, of the settings that have one."""
    found: dict[str, Any] = {}
    for each in dataclasses.fields(cls):
        if each.name == "resources":
            found |= defaults_of(Resources)
        elif "about" in each.metadata and each.default is not dataclasses.MISSING:
            found[each.metadata["about"].key] = each.default
    return found


def _shown(default: object) -> str:
    return "" if default is None else str(default)


REQUIRED = tuple(key for key in settings_of(PredictorSettings) if key not in defaults_of(PredictorSettings))
"""The keys without a default."""
