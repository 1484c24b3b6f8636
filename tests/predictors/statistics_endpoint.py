"""An endpoint that is no prediction; it runs in the server's own Python."""

from playground.serving.endpoints import Endpoint


class Sum(Endpoint):
    methods = ("POST",)

    def respond(self, body):
        return {"sum": sum(body), "unit": self.options["unit"]}

    def state(self):
        return {"unit": self.options["unit"]}
