#!/usr/bin/python3
"""Mutates the code, one small change at a time, and says which changes no test notices."""

import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import random
import re
import subprocess
import sys
import threading
import time

import equivalent
from layout import Layout
from results import Results
from server import Servers
from tree import BuildFailed, Tree
from trials import Baseline, Judge, Unsound

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def options(arguments):
    parser = argparse.ArgumentParser(prog="./run mutate", description=__doc__, epilog="""
        Results are kept in build/mutation: a run goes on where the last one ended. The status is 1
        when a mutant survives that tests/mutation/equivalent.txt does not explain: with --changed
        any, else more than --least allows in a directory.""")
    parser.add_argument("paths", nargs="*", metavar="PATH[:LINE[-LINE]]",
                        help="a file, some of its lines, or a directory; all that is mutated")
    parser.add_argument("--changed", nargs="?", const="", metavar="BASE",
                        help="only lines that differ from a commit; HEAD's parent, or what the "
                        "working tree changes if it changes anything")
    parser.add_argument("--seconds", type=float, default=float("inf"), metavar="N",
                        help="start no mutant later than this after the build")
    parser.add_argument("--sample", type=int, metavar="N", help="N mutants by chance")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the order, and chance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() + 1, metavar="N")
    parser.add_argument("--per-mutant", type=float, default=20, metavar="SECONDS",
                        help="start no test on a mutant later than this (20)")
    parser.add_argument("--least", type=float, default=95, metavar="PERCENT",
                        help="the score each directory must have (95)")
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--tests", metavar="PATTERN", default="*",
                        help="only programs whose name matches, e.g. 'test_[cf]*'")
    parser.add_argument("--list", action="store_true", help="show the mutants, and run none")
    parser.add_argument("--work", type=pathlib.Path, metavar="DIRECTORY",
                        help="where to build and to keep results (build/mutation)")
    return parser.parse_args(arguments)


def say(text):
    print(f"mutate: {text}", file=sys.stderr, flush=True)


class Selection:
    """Which mutants were asked for."""

    def __init__(self, paths, changed):
        self.parts = [self._part(path) for path in paths]
        self.changed = changed

    @staticmethod
    def _part(path):
        name, first, last = re.fullmatch(r"(.*?)(?::(\d+)(?:-(\d+))?)?", path).groups()
        first = int(first or 0)
        return os.path.normpath(name), first, int(last or first or sys.maxsize)

    def has_file(self, path):
        if self.changed is not None and path not in self.changed:
            return False
        return not self.parts or any(self._is_in(path, name) for name, _, _ in self.parts)

    def has(self, path, lines):
        if self.changed is not None and not self.changed.get(path, set()).intersection(lines):
            return False
        return not self.parts or any(
            self._is_in(path, name) and first <= lines[-1] and lines[0] <= last
            for name, first, last in self.parts)

    def named(self, files):
        """Files that were named themselves, though not among those that are mutated anyway."""
        return {name for name, _, _ in self.parts if name in files and name.endswith(".c")}

    @staticmethod
    def _is_in(path, name):
        return name == "." or path == name or path.startswith(name + "/")


def git(top, *words):
    done = subprocess.run(["git", *words], cwd=top, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def changed_lines(top, base):
    """{path: lines} that differ from the commit `base` in the working tree."""
    if not base:
        base = "HEAD" if git(top, "status", "--porcelain", "--untracked-files=no") else "HEAD^"
    difference = git(top, "diff", "--unified=0", "--no-color", "--no-ext-diff", base)
    if difference is None:
        say(f"there is no commit {base} here to compare with")
        return {}
    changed, path = {}, None
    for line in difference.splitlines():
        if line.startswith("+++ "):
            path = line[6:] if line.startswith("+++ b/") else None
        hunk = re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line)
        if hunk and path is not None:
            first, count = int(hunk[1]), int(hunk[2] or 1)
            changed.setdefault(path, set()).update(range(first, first + count))
    return changed


class Run:
    def __init__(self, chosen, top, layout):
        self.chosen = chosen
        self.top = top
        self.tree = Tree(top, chosen.work or top / "build" / "mutation", layout)
        self.layout = layout
        self.lock = threading.Lock()
        self.started = 0.0

    def prepare(self):
        files = self.tree.files()
        changed = None if self.chosen.changed is None else changed_lines(
            self.top, self.chosen.changed)
        selection = Selection(self.chosen.paths, changed)
        mutated = self.layout.mutated(files) | selection.named(files)
        if not any(selection.has_file(path) for path in mutated):
            return []
        programs = [(target, words) for target, words in self.layout.programs(files)
                    if fnmatch.fnmatch(target, self.chosen.tests)]
        if not programs:
            raise ValueError(f"no test is named {self.chosen.tests}")
        say(f"building in {self.tree.work}")
        written = self.tree.prepare(mutated, sorted({target for target, _ in programs}))
        self.programs = [[str(self.tree.build / words[0]), *words[1:]] for _, words in programs]
        self.paths = {source.path for source, _, _ in written}
        mutants = [(source, number, mutant)
                   for source, first, of_file in written if selection.has_file(source.path)
                   for number, mutant in enumerate(of_file, first)
                   if selection.has(source.path, source.lines_of(mutant))]
        random.Random(self.chosen.seed).shuffle(mutants)
        return mutants[: self.chosen.sample]

    def judge(self, mutants):
        kept = self.tree.work / "results.jsonl"
        if self.chosen.again:
            kept.unlink(missing_ok=True)
        self.results = Results(kept, self.tree.digest_of_tests(self.programs))
        entries = equivalent.read((self.top / "tests/mutation/equivalent.txt").read_text())
        self.explained = equivalent.Explained(entries)
        due = [m for m in mutants if self.results.get(m[0].key(m[2])) is None]
        say(f"{len(mutants)} mutants, {len(mutants) - len(due)} known from before")
        if not due:
            return
        known = Baseline(self.tree.work, self.programs, self.jobs, self.chosen.per_mutant).learn()
        self.judges = Judge(known, self.chosen.per_mutant)
        self.started = time.monotonic()
        self.jobs(self.one, due)
        say(f"{time.monotonic() - self.started:.0f} s")

    def one(self, item, servers):
        source, number, mutant = item
        if time.monotonic() - self.started > self.chosen.seconds:
            return
        if self.explained.why(source, mutant):
            return
        verdict, by = self.judges.judge(number, (mutant.path, mutant.function), servers)
        with self.lock:
            self.results.put(source.key(mutant), verdict, by)

    def jobs(self, work, items):
        """Each thread has servers of its own."""
        mine, all_servers = threading.local(), []

        def start():
            mine.servers = Servers()
            all_servers.append(mine.servers)

        try:
            with concurrent.futures.ThreadPoolExecutor(self.chosen.jobs, initializer=start) as pool:
                return list(pool.map(lambda item: work(item, mine.servers), items))
        finally:
            for servers in all_servers:
                servers.close()


class Report:
    def __init__(self, run, mutants):
        self.scores = {}  # directory: {verdict: count}
        self.survivors = []
        for source, _, mutant in sorted(mutants, key=lambda m: (m[2].path, m[2].start)):
            record = run.results.get(source.key(mutant))
            verdict = record["verdict"] if record else "not run"
            if verdict != "noticed" and run.explained.why(source, mutant):
                verdict = "explained"
            score = self.scores.setdefault(os.path.dirname(mutant.path), {})
            score[verdict] = score.get(verdict, 0) + 1
            if verdict in ("unnoticed", "unreached"):
                self.survivors.append((source, mutant, record))

    @staticmethod
    def percent(score):
        survived = score.get("unnoticed", 0) + score.get("unreached", 0)
        run = score.get("noticed", 0) + survived
        return 100 * score.get("noticed", 0) / run if run else 100.0

    def write(self, file):
        for source, mutant, record in self.survivors:
            print(f"{mutant.path}:{source.line_of(mutant)}: {mutant.function}: {mutant.what}: "
                  f"{record['verdict']} {record['by']}", file=file)
            print(source.diff(mutant), file=file)
        columns = ("noticed", "unnoticed", "unreached", "explained", "not run")
        print(f"{'':28}" + "".join(f"{name:>11}" for name in (*columns, "score")), file=file)
        for directory, score in sorted(self.scores.items()):
            counts = "".join(f"{score.get(name, 0):11}" for name in columns)
            print(f"{directory:28}{counts}{self.percent(score):9.1f} %", file=file)

    def is_good(self, chosen):
        if chosen.changed is not None:
            return not self.survivors
        return all(self.percent(score) >= chosen.least for score in self.scores.values())


def show(mutants):
    for source, _, mutant in sorted(mutants, key=lambda m: (m[2].path, m[2].start)):
        print(f"{mutant.path}:{source.line_of(mutant)}: {mutant.function}: {mutant.what}")
        print(source.diff(mutant))


def main(arguments, top=TOP, layout=Layout):
    chosen = options(arguments)
    run = Run(chosen, top, layout())
    try:
        mutants = run.prepare()
        if not mutants:
            say("nothing here is mutated")
            return 0
        if chosen.list:
            show(mutants)
            return 0
        run.judge(mutants)
    except (BuildFailed, Unsound, ValueError) as error:
        say(error)
        return 2
    report = Report(run, mutants)
    report.write(sys.stdout)
    stale = run.explained.stale(run.paths) if not (chosen.paths or chosen.sample or
                                                  chosen.changed is not None) else []
    for entry in stale:
        print(f"equivalent.txt:{entry.line}: matches nothing any more: {entry.place}")
    return 0 if report.is_good(chosen) and not stale else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
