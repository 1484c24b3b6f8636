from playground_interfaces import Tile, PredictionResult, BaseProcess


class Process(BaseProcess):
    """"
    Example Process Class that must be implemented as predict.py in root
    """

    def __init__(self):
        super(Process, self).__init__()

    def predict(self, tile, debug=False):
        my_result = PredictionResult(Tile(tile))
        my_result.add_result("roi", [(0.0, 0.0), (1.0, 1.0), (1.0, 0.0),
                                     (0.0, 0.0)], 1.0)
        my_result.add_result("ior", [(0.1, 0.1), (1.1, 1.1), (1.1, 0.1),
                                     (0.1, 0.1)], 0.5)
        # There is no need to call my_result.format()
        return my_result


BaseProcess.register(Process)
