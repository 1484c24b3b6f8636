"""Predictors that return geometries as no one should, other ones for every tile."""

import math
import random

NUMBERS = [math.nan, math.inf, -1e308, 10**400, None, "3", True, [], {}]


def feature(kind, coordinates, **properties):
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


class Nasty(object):
    """Forty features of all kinds a tile: tangled, open, collapsed, in three dimensions, far out, no numbers."""

    def predict(self, tile):
        rng = random.Random(f"{tile.z}/{tile.x}/{tile.y}")
        side = tile.size + 2 * tile.padding

        def position():
            if rng.random() < 0.02:
                return [rng.choice(NUMBERS) for _ in range(2)]
            near = rng.random() < 0.5
            x, y = (rng.randint(0, 8) if near else rng.uniform(-20, side + 20) for _ in range(2))
            return [x, y, 7] if rng.random() < 0.02 else [x, y]

        def ring():
            points = [position() for _ in range(rng.randint(2, 9))]
            return points + points[:1] if rng.random() < 0.7 else points

        def polygon():
            return [ring() for _ in range(rng.randint(1, 3))]

        makers = {
            "Polygon": polygon,
            "MultiPolygon": lambda: [polygon() for _ in range(rng.randint(0, 2))],
            "LineString": ring,
            "MultiLineString": lambda: [ring(), ring()],
            "Point": position,
            "MultiPoint": ring,
            "Circle": position,
        }
        found = []
        for number in range(39):
            kind = rng.choice([*makers, "Polygon", "Polygon"])
            score = rng.choice([rng.random(), "0.5", math.nan, 87, None])
            found.append(feature(kind, makers[kind](), category=rng.choice(["ship", ["a", "b"], 3, None]), score=score))
        found.append({"type": "Feature", "geometry": None, "properties": {"number": number}})
        return {"type": "FeatureCollection", "features": found}


class Labelled(object):
    """Pixel numbers and class numbers: objects that fill the tile, are unsure, small, in the padding."""

    def predict(self, tile):
        low, high = tile.padding, tile.padding + tile.size - 1
        full = [[low, low], [low, high], [high, high], [high, low], [low, low]]
        small = [[low + x, low + y] for x, y in [(9, 9), (9, 10), (10, 10), (10, 9), (9, 9)]]
        found = [
            feature("Polygon", [full], category=0, score=0.9),
            feature("Polygon", [full], category=0, score=0.2),
            feature("Polygon", [small], category=1, score=0.9),
            feature("Point", [1, 1], category=1, score=0.9),
        ]
        return {"type": "FeatureCollection", "features": found}
