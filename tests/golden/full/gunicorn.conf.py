"""How gunicorn serves the predictor: ``gunicorn --config gunicorn.conf.py app:APP``, in the partner's folder.

WORKERS, BACKLOG, TIMEOUT and BATCH_SIZE in the environment win over the four numbers below.
"""

import os
import sys

# Gunicorn puts the working folder, the partner's /api, in front of sys.path: a flask.py or json.py there would be taken
# for the library. At the end it harms nobody, and gunicorn, finding it there, does not put it in front again.
sys.path.sort(key=lambda entry: os.path.realpath(entry) == os.getcwd())

from pathlib import Path

from playground.serving import boot, lifecycle, logs, metrics_folder

# app.py lies beside this file in the image (where /api has links to both), in app/ in a build context and a checkout.
_here = Path(__file__).resolve().parent
_app = _here if (_here / "app.py").exists() else _here / "app"
boot.pin({"app": _app / "app.py", "app_utils": _app / "app_utils.py"})
boot.settle_home()

# Each worker owns one predictor process, so this is also how many copies of the model are in memory.
workers = boot.number("workers", 3)

# The partner's backlog is how many requests may wait for a predictor; the next gets 503 and Retry-After at once. It is
# not gunicorn's backlog, the queue of the listening socket: what does not fit there the kernel drops without a word,
# and with 6 places a third of the callers run into their own timeout. That one stays large.
_waiting = boot.number("backlog", 0)
backlog = 2048

# Seconds for one prediction; app.py keeps this deadline and answers 504. Gunicorn's own timeout is another thing: with
# threads it never interrupts a request, it only replaces a worker whose main loop has stopped. Hence the large number.
_deadline = boot.number("timeout", 3600)
timeout = max(120, 2 * _deadline)

# As many threads as requests can wait or be predicted together, and some more, so that health checks and refusals are
# answered while all wait.
worker_class = "gthread"
threads = _waiting + boot.number("batch_size", 8) + 7

bind = f"0.0.0.0:{os.environ.get('PORT') or '8080'}"

# App Engine kills an instance 25 seconds after the signal to end. For the first two newcomers are told to go elsewhere
# (DRAIN_LINGER); then the doors shut, and requests in flight get 21 to finish; after 19 in all they are answered 503.
graceful_timeout = 21
when_ready = lifecycle.when_ready


def on_starting(server):
    """Look at the settings once, before the workers do; the workers count in one folder, so any can answer /metrics."""
    boot.check_settings(_app)
    metrics_folder.on_starting(server)


child_exit = metrics_folder.child_exit
on_exit = metrics_folder.on_exit

# On SIGHUP the old workers go on until the new ones have loaded their models.
on_reload = lifecycle.on_reload
post_fork = lifecycle.post_fork

# Seconds an idle connection is kept; longer than the load balancers in front keep theirs, so that they close first.
keepalive = 75

# Every worker imports the app by itself: a predictor started before the fork would be shared by all.
preload_app = False

# Workers tell that they live by touching a file; on a disk that may block, in memory it does not.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

# No socket for remote control: its default place is the home folder, which may be read-only or shared.
control_socket_disable = True

# One JSON object a line, as Cloud Logging reads it; LOG_FORMAT=text, or a terminal, gives lines for people.
_project = os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("PROJECT_NAME") or ""
logger_class = logs.logger_for(boot.word("log_format", "auto"), _project)
access_log_format = logs.ACCESS
errorlog = "-"
accesslog = "-" if os.environ.get("ACCESS_LOG", "").lower() in ("1", "true", "yes", "on") else None
loglevel = (os.environ.get("LOG_LEVEL") or "info").lower()
