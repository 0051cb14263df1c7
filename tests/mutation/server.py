"""Programs that are loaded once, and whose runs are their children: see mutants.c.

A test is a program, or one case of a cmocka program that takes long as a whole."""

import dataclasses
import os
import select
import signal
import socket
import subprocess
import time

FAILED = b"[  FAILED  ]"
OPTIONS = "symbolize=0:allocator_may_return_null=1:malloc_context_size=0"
SANITIZERS = {"ASAN_OPTIONS": OPTIONS, "UBSAN_OPTIONS": OPTIONS}


@dataclasses.dataclass(frozen=True)
class Test:
    words: tuple  # the program and its arguments
    case: str = ""

    @property
    def name(self):
        arguments = " ".join((os.path.basename(self.words[0]), *self.words[1:]))
        return f"{arguments}: {self.case}" if self.case else arguments


@dataclasses.dataclass
class Outcome:
    passed: bool
    how: str  # it failed
    seconds: float
    cpu: float
    output: bytes


class NoServer(Exception):
    """The program has no mutants in it, or cannot be loaded."""


class Server:
    """One run at a time."""

    def __init__(self, words):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.output, output = os.pipe()
        environment = dict(os.environ, **SANITIZERS, METAFORA_MUTANTS=str(theirs.fileno()),
                           CMOCKA_MESSAGE_OUTPUT="STDOUT")
        with theirs:
            self.process = subprocess.Popen(
                words, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, pass_fds=[theirs.fileno()], start_new_session=True)
        os.close(output)
        os.set_blocking(self.output, False)

    def run(self, case, scratch, mutant, reached, seconds, cpu, leaks):
        words = (mutant, round(cpu * 1000), int(leaks), reached or "", scratch, case)
        start = time.monotonic()
        try:
            self.socket.send("".join(f"{word}\0" for word in words).encode())
            child = int(self._hear())
        except (OSError, ValueError):
            raise NoServer("has no mutants in it") from None
        try:
            output, how = self._watch(child, start, seconds)
        finally:
            _kill(child)
        status, spent = self._hear().split()
        if how is None:
            how = _ending(int(status))
        output += self._read()
        return Outcome(how == "", how, time.monotonic() - start, int(spent) / 1e6, output)

    def _watch(self, child, start, seconds):
        """Until the child has ended, has said that a test failed, or takes too long. What it waits
        for a processor is not counted."""
        output = b""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        poll.register(self.output, select.POLLIN)
        end = start + seconds
        while True:
            events = dict(poll.poll(max(0.0, end - time.monotonic()) * 1000))
            if self.output in events:
                output += self._read()
            if FAILED in output[-65536 - len(FAILED):]:
                return output, "failed"
            if self.socket.fileno() in events:
                return output, None
            if time.monotonic() >= end:
                later = start + seconds + _waited(child)
                if later <= time.monotonic():
                    return output, "took too long"
                end = later

    def _hear(self):
        return self.socket.recv(256).decode()

    def _read(self):
        try:
            return os.read(self.output, 65536)
        except BlockingIOError:
            return b""

    def close(self):
        self.socket.close()
        os.close(self.output)
        self.process.kill()
        self.process.wait()


class Servers:
    """Those of one thread, started when they are needed."""

    def __init__(self):
        self.by_words = {}

    def run(self, test, scratch, mutant=0, reached=None, seconds=60.0, cpu=20.0, leaks=False):
        if test.words not in self.by_words:
            self.by_words[test.words] = Server(test.words)
        server = self.by_words[test.words]
        return server.run(test.case, scratch, mutant, reached, seconds, cpu, leaks)

    def close(self):
        for server in self.by_words.values():
            server.close()
        self.by_words = {}


def _kill(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _waited(process):
    """How long its threads were ready to run and did not, in seconds."""
    waited = 0
    try:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/schedstat", encoding="ascii") as file:
                waited += int(file.read().split()[1])
    except OSError:
        pass
    return waited / 1e9


def _ending(status):
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return "" if status == 0 else f"status {os.waitstatus_to_exitcode(status)}"
