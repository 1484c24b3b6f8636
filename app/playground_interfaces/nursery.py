"""The process that loads the model once, for all workers of a server, and forks a predictor for each.

The server's side is ``playground/predictor/nursery.py``. Every connection that sends three descriptors (the predictor's
socket, stdout, stderr) gets a predictor; its number and its end are told through that connection. The memory that
loading filled is shared between the predictors until one of them writes to it.
"""

import array
import gc
import os
import selectors
import signal
import socket
import sys
import threading

from . import loop
from .wire import Wire


def main(descriptor):
    """Load what the first connection asks for, then fork, until nobody is connected any more."""
    listener = socket.socket(fileno=descriptor)
    listener.set_inheritable(False)
    loop.die_with_parent()  # of the worker that started this one; it would load again
    loop.prepare()
    nursery = Nursery(listener)
    try:
        request = nursery.first()
        predictor = loop.load(nursery, request)
        words = reason_not_to_fork() if predictor is not None else None
        if words:
            told = {"op": "failed", "type": "RuntimeError", "message": words, "traceback": ""}
            nursery.send(told)
        elif predictor is not None:
            loop.die_with_parent(0)
            gc.collect()
            if hasattr(gc, "freeze"):  # Python 3.7: a collection would write to every object, and so copy it
                gc.freeze()
            nursery.serve(predictor, request["workdir"])
    except EOFError:
        pass
    finally:
        flush()
        os.killpg(os.getpid(), signal.SIGKILL)  # with whatever the partner's class has started


class Nursery(object):
    """The connections, and what is at the other end of each.

    Args:
        listener: a listening Unix socket.
    """

    def __init__(self, listener):
        self.listener = listener
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.connections = set()
        self.asked = {}
        self.children = {}

    def first(self):
        """What the first request says: which class to load."""
        while not self.asked:
            self.gather(None)
            if not self.connections:  # who started this process ended before it could ask to end with it
                raise EOFError("nobody is connected")
        ask = next(iter(self.asked.values()))
        ask.load, _ = ask.wire.receive()
        return ask.load

    def send(self, head):
        """Tell everybody who waits how loading goes."""
        self.gather(0)
        for ask in self.asked.values():
            try:
                ask.wire.send(head)
            except OSError:  # the worker has ended; its connection will tell
                pass

    def serve(self, predictor, workdir):
        """Fork a predictor for every request, until nobody is connected any more."""
        silence()
        before = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        wakes, woken = socket.socketpair()
        for sock in (wakes, woken):
            sock.setblocking(False)
        signal.set_wakeup_fd(woken.fileno())
        self.selector.register(wakes, selectors.EVENT_READ)

        def after_fork(ask):
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, before)
            for sock in [self.listener, wakes, woken] + list(self.connections):
                sock.close()
            self.selector.close()
            for other in self.asked.values():
                if other is not ask:
                    other.close()

        while self.connections:
            for connection, ask in list(self.asked.items()):
                self.fork(connection, ask, after_fork, predictor, workdir)
            self.gather(None)
            for connection, pid in list(self.children.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    del self.children[connection]
                    tell(connection, {"status": -os.WTERMSIG(status) if os.WIFSIGNALED(status) else status >> 8})

    def fork(self, connection, ask, after_fork, predictor, workdir):
        """Fork the predictor that a connection asked for."""
        pid = os.fork()
        if pid == 0:
            try:
                after_fork(ask)
                child(ask, predictor, workdir)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                flush()
                os._exit(1)
        join_group(pid)
        del self.asked[connection]
        ask.close()
        self.children[connection] = pid
        tell(connection, {"pid": pid})

    def gather(self, timeout):
        """Take up connections, and read what they ask for."""
        for key, _ in self.selector.select(timeout):
            if key.fileobj is self.listener:
                connection, _ = self.listener.accept()
                self.connections.add(connection)
                self.selector.register(connection, selectors.EVENT_READ)
            elif key.fileobj in self.connections:
                self.read(key.fileobj)
            else:
                key.fileobj.recv(4096)  # a predictor has ended

    def read(self, connection):
        """Note what a connection asks for; when it is closed, end its predictor."""
        try:
            descriptors = receive_descriptors(connection)
        except OSError:
            descriptors = []
        if descriptors:
            self.asked[connection] = Ask(*descriptors)
            return
        self.selector.unregister(connection)
        self.connections.remove(connection)
        connection.close()
        if connection in self.asked:
            self.asked.pop(connection).close()
        if connection in self.children:
            os.killpg(self.children[connection], signal.SIGKILL)


class Ask(object):
    """A predictor that a worker wants: the socket it shall answer through, and where it shall print."""

    def __init__(self, descriptor, stdout, stderr):
        self.socket = socket.socket(fileno=descriptor)
        self.wire = Wire(self.socket)
        self.prints = (stdout, stderr)
        self.load = None

    def close(self):
        self.socket.close()
        for descriptor in self.prints:
            os.close(descriptor)


def child(ask, predictor, workdir):
    """A predictor, as ``loop.main`` has it, whose model is there already."""
    nursery = os.getppid()
    join_group(os.getpid())
    loop.die_with_parent()
    if os.getppid() != nursery:
        return
    for descriptor, own in zip(ask.prints, (1, 2)):
        os.dup2(descriptor, own)
        os.close(descriptor)
    if ask.load is None:
        ask.load, _ = ask.wire.receive()
    loop.tell_ready(ask.wire, predictor)
    loop.serve(ask.wire, predictor, workdir)
    flush()
    os._exit(0)


def join_group(pid):
    """Let a predictor have a group of its own; it and its parent both try, so that it is true for either."""
    try:
        os.setpgid(pid, pid)
    except OSError:  # done already, or ended already
        pass


def flush():
    """Write what was printed, if anybody reads it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass


def silence():
    """From now on nobody reads what this process prints; what the predictors print is read."""
    flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for own in (1, 2):
        os.dup2(nowhere, own)
    os.close(nowhere)


def tell(connection, head):
    """Send a worker a frame; one that has ended need not know."""
    try:
        Wire(connection).send(head)
    except OSError:
        pass


def receive_descriptors(connection):
    """The three descriptors that a connection sends, none when it is closed."""
    found = array.array("i")
    size = socket.CMSG_SPACE(3 * found.itemsize)
    _, ancillary, _, _ = connection.recvmsg(1, size)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    for descriptor in found:
        os.set_inheritable(descriptor, False)
    return list(found)


def reason_not_to_fork():
    """Why this process, with its model loaded, cannot be forked; None when it can.

    A fork takes only the thread that calls it along: locks that others hold stay locked for ever in the new process,
    and whoever waits for those threads waits for ever.
    """
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if names:
        return "%s: it started threads (%s) while loading" % (REFUSAL, ", ".join(sorted(names)))
    try:
        threads = os.listdir("/proc/self/task")
        with open("/proc/self/maps") as maps:
            mapped = {line.split()[-1] for line in maps}
    except OSError:  # no Linux
        return None
    if any(path.startswith("/dev/nvidia") for path in mapped):
        return "%s: it uses the GPU, which a forked process cannot" % REFUSAL
    # OpenBLAS, which numpy brings, ends its threads before a fork and starts others after it.
    harmless = len([path for path in mapped if "openblas" in path]) * ((os.cpu_count() or 1) - 1)
    if len(threads) - 1 > harmless:
        return "%s: a library of its started %d threads while loading" % (REFUSAL, len(threads) - 1 - harmless)
    return None


REFUSAL = "the model cannot be shared (share_model)"
