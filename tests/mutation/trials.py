"""Runs of tests: alone, to learn what they reach and how long they take, and on a mutant.

A test is a program, or one case of a cmocka program that takes long as a whole."""

import dataclasses
import json
import math
import os
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time

from tree import ROOM, digest, write

# A program that takes longer is run case by case.
SPLIT_SECONDS = 0.5
CASE = re.compile(rb"^\[ RUN      \] (\S+)", re.MULTILINE)
FAILED = b"[  FAILED  ]"
OPTIONS = "symbolize=0:allocator_may_return_null=1"
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


@dataclasses.dataclass
class Known:
    """What a test does without a mutant."""

    test: Test
    seconds: float
    cpu: float
    reached: frozenset


def run(test, scratch, mutant=0, reached=None, seconds=300.0, cpu=300):
    environment = dict(os.environ, **SANITIZERS, TMPDIR=scratch, METAFORA_MUTANT=str(mutant),
                       METAFORA_CPU_SECONDS=str(cpu), CMOCKA_MESSAGE_OUTPUT="STDOUT")
    if test.case:
        environment["METAFORA_CASE"] = test.case
    if reached is not None:
        environment["METAFORA_REACHED"] = reached
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(test.words, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               cwd=scratch, start_new_session=True)
    output, how = _watch(process, start + seconds)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(how == "", how, time.monotonic() - start, spent, output)


def _watch(process, until):
    """Until the program ends, says that a test failed, or takes too long."""
    output, how = b"", None
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    ended = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(pipe, select.POLLIN)
    while how is None:
        events = dict(poll.poll(max(0.0, until - time.monotonic()) * 1000))
        if pipe in events:
            piece = _read(pipe)
            output += piece
            if not piece:
                poll.unregister(pipe)
        if FAILED in output[-65536 - len(FAILED):]:
            how = "failed"
        elif ended in events:
            how = _ending(process.wait())
        elif time.monotonic() >= until:
            how = "took too long"
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    output += _read(pipe)
    process.stdout.close()
    os.close(ended)
    return output, how


def _read(pipe):
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return b""


def _ending(status):
    if status == 0:
        return ""
    return f"signal {-status}" if status < 0 else f"status {status}"


class Unsound(Exception):
    """A test that fails without a mutant says nothing about one."""


class Baseline:
    """What every test reaches, learnt anew when its program has changed."""

    def __init__(self, work, programs, jobs, longest):
        self.kept = work / "reached"
        self.programs = programs
        self.jobs = jobs
        self.longest = longest

    def learn(self):
        known = [k for found in self.jobs(self.of_program, self.programs) for k in found]
        if not known:
            raise Unsound("no test passes without a mutant")
        return [k for k in known if k.reached and k.seconds <= self.longest]

    def of_program(self, words):
        with open(words[0], "rb") as file:
            name = digest(file.read() + "\0".join(words[1:]).encode())
        path = self.kept / name
        if path.exists():
            return [_loaded(words, one) for one in json.loads(path.read_text())]
        try:
            with tempfile.TemporaryDirectory(prefix="mutate-") as scratch:
                found = self.measure(Test(tuple(words)), scratch)
        except Unsound as error:
            print(f"mutate: left out: {error}", file=sys.stderr, flush=True)
            return []
        write(path, json.dumps([_stored(k) for k in found]).encode())
        return found

    def measure(self, whole, scratch):
        outcome, known = self.one(whole, scratch)
        cases = list(dict.fromkeys(CASE.findall(outcome.output)))
        if outcome.seconds <= SPLIT_SECONDS or len(cases) < 2:
            return [known]
        cases = [Test(whole.words, case.decode()) for case in cases]
        return [self.one(case, scratch)[1] for case in cases]

    @staticmethod
    def one(test, scratch):
        path = os.path.join(scratch, "reached")
        with open(path, "wb") as file:
            file.truncate(ROOM)
        outcome = run(test, scratch, reached=path)
        if not outcome.passed:
            raise Unsound(f"{test.name} {outcome.how} without a mutant\n"
                          + outcome.output.decode(errors="replace"))
        with open(path, "rb") as file:
            reached = frozenset(m.start() for m in re.finditer(b"\1", file.read()))
        # The processor's time of all that ran meanwhile: of several tests at once no less.
        return outcome, Known(test, outcome.seconds, min(outcome.cpu, outcome.seconds), reached)


def _stored(known):
    return [known.test.case, known.seconds, known.cpu, sorted(known.reached)]


def _loaded(words, stored):
    case, seconds, cpu, reached = stored
    return Known(Test(tuple(words), case), seconds, cpu, frozenset(reached))


class Judge:
    """Runs the tests that reach a mutant, the most telling for their time first."""

    def __init__(self, known, seconds):
        self.known = known
        self.seconds = seconds
        self.tries = {}  # (test, function or None): [tries, successes]

    def reaching(self, number):
        return [k for k in self.known if number in k.reached]

    def judge(self, number, place, scratch):
        """(verdict, what noticed it or how many tests did not)."""
        tests = sorted(self.reaching(number), key=lambda k: k.seconds / self.promise(k, place))
        if not tests:
            return "unreached", "no test reaches it"
        spent = time.monotonic()
        for ran, known in enumerate(tests):
            if time.monotonic() - spent > self.seconds:
                return "unnoticed", f"by {ran} of {len(tests)} tests, and no time for more"
            outcome = run(known.test, scratch, number, seconds=5 + 10 * known.seconds,
                          cpu=math.ceil(2 + 4 * known.cpu))
            self.learn(known, place, not outcome.passed)
            if not outcome.passed:
                return "noticed", f"{known.test.name}: {outcome.how}"
        return "unnoticed", f"by {len(tests)} tests"

    def promise(self, known, place):
        near = self.tries.get((known.test, place), (0, 0))
        all_over = self.tries.get((known.test, None), (0, 0))
        return (near[1] + 1) / (near[0] + 2) + (all_over[1] + 1) / (all_over[0] + 2)

    def learn(self, known, place, noticed):
        for key in ((known.test, place), (known.test, None)):
            tried, successes = self.tries.get(key, (0, 0))
            self.tries[key] = (tried + 1, successes + noticed)
