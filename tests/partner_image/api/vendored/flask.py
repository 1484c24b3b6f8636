raise RuntimeError("the partner's flask.py was imported by the server")
