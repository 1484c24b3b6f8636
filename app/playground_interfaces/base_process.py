"""The class that a partner's predictor extends."""

import abc


class BaseProcess(abc.ABC):
    """A predictor. Subclass it, or declare yours with ``BaseProcess.register(MyClass)``.

    A class may also have ``predict_batch(self, tiles)``: a list of tiles in, a list of results in the same order out,
    each what ``predict`` may return, or a PredictError (not raised) for a tile that cannot be predicted.
    """

    @abc.abstractmethod
    def __init__(self):
        """Load the model. Called once, when the service starts."""

    @abc.abstractmethod
    def predict(self, tile):
        """Predict one tile.

        Args:
            tile (Tile): the image and where it lies.

        Returns:
            PredictionResult, or a GeoJSON FeatureCollection; coordinates are pixels of the padded image, (0, 0) its
            top-left corner, x to the right, y down, counted on pixel edges.
        """
