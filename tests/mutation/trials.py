"""Runs of tests: alone, to learn what they reach and how long they take, and on a mutant."""

import dataclasses
import json
import os
import re
import sys
import tempfile
import time

from server import NoServer, Test
from tree import ROOM, digest, write

# A program that takes longer is run case by case.
SPLIT_SECONDS = 0.1
# How many tests look for leaks. What a mutant leaks, most of those that reach it do.
LEAKS = 10
CASE = re.compile(rb"^\[ RUN      \] (\S+)", re.MULTILINE)


@dataclasses.dataclass
class Known:
    """What a test does without a mutant."""

    test: Test
    seconds: float
    cpu: float
    reached: frozenset

    @property
    def cost(self):
        """One that waits costs less than it takes, since others run meanwhile."""
        return self.cpu + 0.2 * (self.seconds - self.cpu) + 0.003

    @property
    def waits(self):
        """Its outcome may depend on how busy the machine is."""
        return self.seconds > 2 * self.cpu + 0.2


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

    def of_program(self, words, servers):
        with open(words[0], "rb") as file:
            name = digest(file.read() + "\0".join([str(self.longest), *words[1:]]).encode())
        path = self.kept / name
        if path.exists():
            return [_loaded(words, one) for one in json.loads(path.read_text())]
        found = self.measure(words, servers)
        write(path, json.dumps([_stored(k) for k in found]).encode())
        return found

    def measure(self, words, servers):
        """Of a program that takes long its cases, and of these those that pass in time."""
        whole = Test(tuple(words))
        outcome, known = self.one(whole, servers, 300, leaks=True)
        cases = list(dict.fromkeys(CASE.findall(outcome.output)))
        if outcome.seconds <= SPLIT_SECONDS or len(cases) < 2:
            tries = [(whole, outcome, known)]
        else:
            cases = [Test(whole.words, case.decode()) for case in cases]
            tries = [(case, *self.one(case, servers, self.longest)) for case in cases]
        for test, outcome, known in tries:
            if not outcome.passed:
                print(f"mutate: left out: {test.name} {outcome.how} without a mutant\n"
                      + outcome.output.decode(errors="replace"), file=sys.stderr, flush=True)
        return [known for _, outcome, known in tries if outcome.passed]

    @staticmethod
    def one(test, servers, seconds, leaks=False):
        with tempfile.TemporaryDirectory(prefix="mutate-") as scratch:
            path = os.path.join(scratch, "reached")
            with open(path, "wb") as file:
                file.truncate(ROOM)
            try:
                outcome = servers.run(test, scratch, reached=path, seconds=seconds, cpu=seconds,
                                      leaks=leaks)
            except NoServer as error:
                raise Unsound(f"{test.name} {error}") from None
            with open(path, "rb") as file:
                reached = frozenset(m.start() for m in re.finditer(b"\1", file.read()))
        return outcome, Known(test, outcome.seconds, outcome.cpu, reached)


def _stored(known):
    return [known.test.case, known.seconds, known.cpu, sorted(known.reached)]


def _loaded(words, stored):
    case, seconds, cpu, reached = stored
    return Known(Test(tuple(words), case), seconds, cpu, frozenset(reached))


class Judge:
    """Runs the tests that reach a mutant, the most telling for their time first. Looking for leaks
    takes most of a short test's time, so that it is done when nothing else has told."""

    def __init__(self, known, seconds):
        self.reaching = {}
        self.seconds = seconds
        self.tries = {}  # (test, function or None): [tries, successes]
        for one in known:
            for number in one.reached:
                self.reaching.setdefault(number, []).append(one)

    def judge(self, number, place, servers):
        """(verdict, what noticed it or how many tests did not)."""
        tests = sorted(self.reaching.get(number, ()), key=lambda k: k.cost / self.promise(k, place))
        if not tests:
            return "unreached", "no test reaches it"
        spent, ran = time.monotonic(), 0
        with tempfile.TemporaryDirectory(prefix="mutate-", ignore_cleanup_errors=True) as scratch:
            for leaks, known in [(False, k) for k in tests] + [(True, k) for k in tests[:LEAKS]]:
                if time.monotonic() - spent > self.seconds:
                    return "unnoticed", f"by {ran} of {len(tests)} tests, and no time for more"
                how = self.trial(known, servers, scratch, number, leaks)
                self.learn(known, place, how != "")
                if how:
                    return "noticed", f"{known.test.name}: {how}"
                ran += not leaks
        return "unnoticed", f"by {len(tests)} tests"

    @staticmethod
    def trial(known, servers, scratch, number, leaks):
        """How it failed, if it did. What depends on the machine must fail twice, and pass
        without the mutant."""
        tries = (number, number, 0) if known.waits else (number,)
        hows = []
        for mutant in tries:
            outcome = servers.run(known.test, scratch, mutant, seconds=2 + 10 * known.seconds,
                                  cpu=0.25 + 5 * known.cpu, leaks=leaks)
            hows.append(outcome.how)
            if outcome.passed == (mutant != 0):
                return ""
        return hows[0]

    def promise(self, known, place):
        near = self.tries.get((known.test, place), (0, 0))
        all_over = self.tries.get((known.test, None), (0, 0))
        return (near[1] + 1) / (near[0] + 2) + (all_over[1] + 1) / (all_over[0] + 2)

    def learn(self, known, place, noticed):
        for key in ((known.test, place), (known.test, None)):
            tried, successes = self.tries.get(key, (0, 0))
            self.tries[key] = (tried + 1, successes + noticed)
