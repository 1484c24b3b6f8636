"""Predictors that find plain polygons, of the numbers that the tile's address names."""

from playground_interfaces import PredictionResult

PROPERTIES = {"category": "roof", "confidence": 0.5}


def ring(number, kind):
    positions = [[number, 0], [number + 9, 0], [number + 9, 7], [number, 0]]
    if kind != "whole":
        positions = [[x / 3.0, y + 0.005] for x, y in positions]
    if kind == "tuples":
        positions = [tuple(position) for position in positions]
    if kind == "mixed":
        positions[1] = [number, 2.5]
    return positions


class Outlines(object):
    """A polygon more for each tile, the last one with a hole, all with the same properties."""

    def predict(self, tile):
        kind, number = tile.url.split()
        coordinates = [[ring(each, kind)] for each in range(int(number))]
        coordinates[-1:] = [each * 2 for each in coordinates[-1:]]
        if kind == "result":
            result = PredictionResult(tile)
            for exterior, *holes in coordinates:
                result.add_polygon("roof", exterior, holes, 0.876, number=int(number))
            return result
        found = [
            {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": each}, "properties": PROPERTIES}
            for each in coordinates
        ]
        return {"type": "FeatureCollection", "features": found}
