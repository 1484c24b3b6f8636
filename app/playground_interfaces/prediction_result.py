"""What a predictor found in one tile."""


class Result(tuple):
    """One found object: the historic (category, ring, confidence), and what that tuple has no room for."""

    def __new__(cls, category, ring, confidence, geometry=None, properties=None):
        self = super().__new__(cls, (category, ring, float(confidence)))
        self.geometry = geometry or {"type": "Polygon", "coordinates": [ring]}
        self.properties = properties or {}
        return self


class PredictionResult(object):
    """The objects found in one tile, in pixels of the padded image.

    Pixel space: (0, 0) is the top-left corner of the padded image, x to the right, y down, counted on pixel edges: a
    full 256-pixel tile spans 0 to 256.
    """

    def __init__(self, tile):
        """An empty result for ``tile``."""
        self.tile = tile
        self.list_results = []

    def add_result(self, category, bbox, confidence=1.0):
        """Add one polygon.

        Args:
            category (str): the class of the object.
            bbox (list): its ring, ``[(x, y), ...]`` in pixels.
            confidence (float): 0 to 1.
        """
        self.list_results.append(Result(category, bbox, confidence))

    def add_polygon(self, category, exterior, holes=(), confidence=1.0, **properties):
        """Add one polygon with holes: ``exterior`` and each of ``holes`` a ring ``[(x, y), ...]`` in pixels."""
        geometry = {"type": "Polygon", "coordinates": [exterior] + list(holes)}
        self.list_results.append(Result(category, exterior, confidence, geometry, properties))

    def add_box(self, category, box, confidence=1.0, **properties):
        """Add one box: ``(left, top, right, bottom)`` in pixels."""
        left, top, right, bottom = box
        ring = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)]
        self.add_polygon(category, ring, (), confidence, **properties)

    def add_point(self, category, point, confidence=1.0, **properties):
        """Add one point: ``(x, y)`` in pixels."""
        geometry = {"type": "Point", "coordinates": point}
        self.list_results.append(Result(category, [point], confidence, geometry, properties))

    def add_mask(self, category, mask, confidence=1.0, **properties):
        """Add what a mask shows: each 4-connected region becomes one polygon, with its holes, on pixel edges.

        Args:
            mask: H x W booleans (an array or nested lists), True where the object is; (0, 0) the top-left pixel.
        """
        from .masks import polygons_of_mask

        for exterior, holes in polygons_of_mask(mask):
            self.add_polygon(category, exterior, holes, confidence, **properties)

    def format(self):
        """The results as a GeoJSON FeatureCollection.

        Returns:
            FeatureCollection (a dict): coordinates in pixels rounded to 2 decimals; properties ``category`` and
            ``score`` (rounded to 2 decimals).
        """
        features = []
        for result in self.list_results:
            geometry = {
                "type": result.geometry["type"],
                "coordinates": _rounded(result.geometry["coordinates"]),
            }
            features.append({"type": "Feature", "geometry": geometry, "properties": properties_of(result)})
        return FeatureCollection(features)


class FeatureCollection(dict):
    """A GeoJSON FeatureCollection; a plain dictionary whose keys are attributes too, as in the geojson package."""

    def __init__(self, features):
        super().__init__(type="FeatureCollection", features=features)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name)


def properties_of(result):
    """The properties of one found object."""
    properties = dict(result.properties)
    properties["category"] = result[0]
    properties["score"] = round(result[2], 2)
    return properties


def _rounded(coordinates):
    if hasattr(coordinates, "tolist"):
        coordinates = coordinates.tolist()
    if isinstance(coordinates, (list, tuple)):
        return [_rounded(part) for part in coordinates]
    return round(float(coordinates), 2)
