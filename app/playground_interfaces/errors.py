"""What a predictor may raise on purpose."""


class PredictError(Exception):
    """This tile cannot be predicted, and trying again will not help (the caller gets 422, never a 500).

    Args:
        message: what is wrong with the tile, for the caller.
        hint: what the caller can do about it.
    """

    def __init__(self, message="this tile cannot be predicted", hint=""):
        super().__init__(message)
        self.message = str(message)
        self.hint = str(hint)
