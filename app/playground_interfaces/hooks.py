"""Functions of the partner's around ``predict``: a check, a step before it, a step after it."""

import importlib

from .errors import PredictError
from .telling import listed


class Hooked(object):
    """A predictor with its hooks: ``predict(tile)`` is checks, preprocessor, predictor, postprocessor.

    It has ``predict_batch(tiles)`` if the predictor has; the hooks are called with one tile after the other then.

    Args:
        predictor: has ``predict(tile)``.
        additional_checks: called with the tile; raises PredictError or ValueError for one that is not to be predicted.
        preprocessor: called with the tile; gives the one to predict (None: the same).
        postprocessor: called with the result and the tile; gives the result to answer.
    """

    def __init__(self, predictor, additional_checks=None, preprocessor=None, postprocessor=None):
        self._predictor = predictor
        self._checks = additional_checks
        self._before = preprocessor
        self._after = postprocessor
        if callable(getattr(predictor, "predict_batch", None)):
            self.predict_batch = self._predict_batch

    def predict(self, tile):
        tile = self._prepare(tile)
        return self._finish(self._predictor.predict(tile), tile)

    def _predict_batch(self, tiles):
        results = [None] * len(tiles)
        accepted = []
        for index, tile in enumerate(tiles):
            try:
                accepted.append((index, self._prepare(tile)))
            except PredictError as error:
                results[index] = error
        found = self._predictor.predict_batch([tile for _, tile in accepted]) if accepted else []
        for (index, tile), result in zip(accepted, listed(found, len(accepted))):
            results[index] = result if isinstance(result, Exception) else self._finish(result, tile)
        return results

    def _prepare(self, tile):
        if self._checks is not None:
            try:
                self._checks(tile)
            except ValueError as error:
                raise PredictError(str(error))
        changed = None if self._before is None else self._before(tile)
        return tile if changed is None else changed

    def _finish(self, result, tile):
        return result if self._after is None else self._after(result, tile)


def with_hooks(predictor, names):
    """The predictor with the hooks of these dotted names (hook -> "package.module.function"); without any, itself."""
    hooks = {hook: find(name) for hook, name in names.items() if name}
    return Hooked(predictor, **hooks) if hooks else predictor


def find(name):
    """What ``package.module.function`` or ``package.module:function`` names."""
    module, _, attribute = name.replace(":", ".").rpartition(".")
    found = getattr(importlib.import_module(module), attribute, None)
    if not callable(found):
        raise AttributeError("module %s has no function %s" % (module, attribute))
    return found
