#!/usr/bin/python3
"""The tool on a program whose mutants are known: which are noticed, and that a run goes on where
the last one ended."""

import contextlib
import io
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import mutate

SAMPLE = pathlib.Path(__file__).resolve().parent / "sample"
SHIFTED = """src/sample.c:at_most
- if (value > most)
+ if (value >= most)
Of two that are equal it is the same which is the answer.
"""


class Layout:
    runtime = "src"
    generated = ()
    cmake = ()

    @staticmethod
    def is_built(path):
        return not path.startswith("tests/mutation/")

    @staticmethod
    def mutated(files):
        return {"src/sample.c"}

    @staticmethod
    def programs(files):
        return [("test_sample", ("test_sample",))]


class Mutate(unittest.TestCase):
    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="mutate-"))
        self.addCleanup(shutil.rmtree, self.top)
        shutil.copytree(SAMPLE, self.top, dirs_exist_ok=True)
        (self.top / "tests" / "mutation").mkdir()
        self.explain("")
        (self.top / ".gitignore").write_text("/build/\n")
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "all")

    def git(self, *words):
        subprocess.run(["git", *words], cwd=self.top, check=True)

    def explain(self, text):
        (self.top / "tests" / "mutation" / "equivalent.txt").write_text(text)

    def replace(self, path, before, after):
        text = (self.top / path).read_text()
        self.assertIn(before, text)
        (self.top / path).write_text(text.replace(before, after))

    def run_it(self, *arguments):
        """The status, and what was printed."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            status = mutate.main(list(arguments), self.top, Layout)
        return status, output.getvalue()

    def judged(self):
        """How many mutants were judged in all runs."""
        return len((self.top / "build/mutation/results.jsonl").read_text().splitlines())

    def verdicts(self):
        lines = (self.top / "build/mutation/results.jsonl").read_text().splitlines()
        return sorted(json.loads(line)["verdict"] for line in lines)

    def test_known_mutants(self):
        """The shifted comparison makes no difference, and one function is not tested."""
        status, output = self.run_it()
        self.assertEqual(status, 1)
        self.assertEqual(self.verdicts(), ["noticed"] * 16 + ["unnoticed"] + ["unreached"] * 2)
        self.assertIn("at_most: another operator: >=: unnoticed by 1 tests", output)
        self.assertIn("-    if (value > most)\n+    if (value >= most)\n", output)
        self.assertEqual(output.count("never_called: "), 2)
        self.assertIn(" 84.2 %", output)

    def test_endless_loop(self):
        """A mutant that never ends is noticed by the time that it takes."""
        _, output = self.run_it("src/sample.c:15", "--least", "0")
        self.assertIn(" 100.0 %", output)

    def test_goes_on(self):
        """What is known is not run again: a mutant that was noticed while its function stays as it
        is, another while the tests do."""
        self.run_it()
        self.run_it()
        self.assertEqual(self.judged(), 19)
        self.replace("src/sample.c", "int digits(", "/* In base 10. */\n\nint digits(")
        self.run_it()
        self.assertEqual(self.judged(), 19)
        self.replace("tests/test_sample.c", "at_most(3, 5) == 3", "never_called(1) == 2")
        self.run_it()
        self.assertEqual(self.judged(), 19 + 3)
        self.replace("src/sample.c", "return value + 1;", "return value + 3 - 2;")
        self.run_it()
        self.assertEqual(self.judged(), 19 + 3 + 4)

    def test_explained(self):
        """An explained mutant does not count, and an entry without a mutant is told."""
        self.explain(SHIFTED)
        status, output = self.run_it("src/sample.c:5")
        self.assertEqual(status, 0)
        self.assertIn(" 100.0 %", output)
        self.explain(SHIFTED.replace("at_most", "digits"))
        status, output = self.run_it("--least", "50")
        self.assertEqual(status, 1)
        self.assertIn("equivalent.txt:1: matches nothing any more: src/sample.c:digits", output)

    def test_changed(self):
        """Only what the working tree changes, and then any survivor is one too many."""
        status, output = self.run_it("--changed")
        self.assertEqual(status, 0)
        self.replace("src/sample.c", "return value + 1;", "return value + 2;")
        status, output = self.run_it("--changed", "HEAD", "--least", "0")
        self.assertEqual(status, 1)
        self.assertEqual(self.judged(), 2)

    def test_bounds(self):
        """A sample is of that many; without time nothing is run."""
        self.run_it("--sample", "3")
        self.assertEqual(self.judged(), 3)
        _, output = self.run_it("--seconds", "0", "--again")
        self.assertEqual(self.judged(), 0)

    def test_broken_test(self):
        """A test that fails without a mutant is no judge."""
        self.replace("tests/test_sample.c", "? 0 : 1", "? 1 : 0")
        status, output = self.run_it()
        self.assertEqual(status, 2)
        self.assertIn("test_sample status 1 without a mutant", output)


if __name__ == "__main__":
    unittest.main()
