"""Runs one server, on loopback only, until whoever started it is gone.

Standard input is a pipe that nobody writes to. The kernel closes it when the other process ends, however it ends.
"""

import functools
import os
import shutil
import signal
import sys
import tempfile
import threading

LOOPBACK = "127.0.0.1"


def end_with_starter(server):
    while os.read(sys.stdin.fileno(), 1):
        pass
    # Its group, so that what it started ends with it.
    os.killpg(server, signal.SIGKILL)


def ministack(port):
    os.environ.update(GATEWAY_PORT=port, BIND_HOST=LOOPBACK)
    from ministack.app import main

    main()


def moto(port):
    from moto.server import main

    main(["-H", LOOPBACK, "-p", port])


def localemu(port):
    # In a container it would write to the machine's own folders instead of ours.
    os.environ.update(
        GATEWAY_LISTEN=f"{LOOPBACK}:{port}",
        OVERRIDE_IN_DOCKER="0",
        FILESYSTEM_ROOT=os.environ["HOME"],
    )
    # Its web server is told the port only, and would listen on every interface.
    from twisted.internet import endpoints

    endpoints.TCP4ServerEndpoint = functools.partial(
        endpoints.TCP4ServerEndpoint, interface=LOOPBACK
    )
    from localemu.runtime.main import main

    main()


def osmem(port):
    from osmem_server import resolve_binary

    # It would end with the input of whoever started it, which here is nothing.
    os.execv(resolve_binary(), ["osmem", "-addr", f"{LOOPBACK}:{port}", "-no-stdin-watch"])


def microburst(port, upstream):
    from microburst.cli import main

    sys.argv += ["--host", LOOPBACK, "--port", port, "--upstream", upstream]
    main()


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    servers = [ministack, moto, localemu, osmem, microburst]
    serve = {server.__name__: server for server in servers}[name]
    # Ctrl-C in the terminal is for the tests; what is started here ends because they do.
    os.setpgid(0, 0)
    folder = tempfile.mkdtemp(prefix=f"{name}-")
    server = os.fork()
    if server == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        os.environ.update(HOME=folder, TMPDIR=folder)
        tempfile.tempdir = folder
        sys.argv = [name]
        serve(*arguments)
        sys.exit(0)
    threading.Thread(target=end_with_starter, args=[server], daemon=True).start()
    _, status = os.waitpid(server, 0)
    shutil.rmtree(folder, ignore_errors=True)
    # Not sys.exit, which would wait for the thread that reads.
    os._exit(min(os.waitstatus_to_exitcode(status) % 256, 255))
