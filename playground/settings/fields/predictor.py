"""Which class predicts, and what tiles it reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.settings.fields.about import ONE_LINE, about
from playground.settings.kinds import Choice, Text, Whole, is_dotted_name, is_printable, is_python_name


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class PredictorFields:
    """The predictor and its tiles."""

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
