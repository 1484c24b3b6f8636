"""A predictor with steps around it, and an endpoint that is no prediction."""

from playground import PredictError, PredictionResult, Tile


class Echo(object):
    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_polygon("echo", [(0, 0), (0, 8), (8, 8), (8, 0)], url=tile.url, padding=tile.padding)
        return result


def check(tile):
    if tile.x == 6:
        raise ValueError("column 6 is under the sea")
    if tile.x == 7:
        raise PredictError("column 7 is secret", "ask for another")


def rename(tile):
    return Tile("renamed", z=tile.z, x=tile.x, y=tile.y, padding=tile.padding)


def annotate(result, tile):
    answer = result.format()
    for feature in answer["features"]:
        feature["properties"]["seen_as"] = tile.url
    return answer
