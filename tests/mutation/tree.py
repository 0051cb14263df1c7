"""A copy of the tree with the mutants compiled in, and its build.

One build serves all mutants. A file that has not changed keeps its numbers, and is not compiled
again."""

import hashlib
import json
import pathlib
import pickle
import shlex
import subprocess

import c_points
import schemata

HERE = pathlib.Path(__file__).resolve().parent
MOST_OF_A_FILE = 4096
ROOM = 1 << 20  # MF_MUTANTS_MOST


class BuildFailed(Exception):
    pass


class Tree:
    def __init__(self, top, work, layout):
        self.top = pathlib.Path(top)
        self.work = pathlib.Path(work).resolve()
        self.copy = self.work / "tree"
        self.build = self.work / "build"
        self.layout = layout
        self.work.mkdir(parents=True, exist_ok=True)
        self.tool = digest(b"".join(f.read_bytes() for f in sorted(HERE.glob("*.py"))))

    # The files.

    def files(self):
        """What is or could be committed, of what the tests are built from."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self.top, check=True, capture_output=True, text=True).stdout.split("\0")
        return [f for f in listed if self.layout.is_built(f) and (self.top / f).is_file()]

    def copy_files(self, mutated):
        files = set(self.files())
        for name in files:
            target = self.copy / name
            if name not in mutated or not target.exists():
                write(target, (self.top / name).read_bytes())
        for name in ("mutants.c", "mutants.h"):
            files.add(f"{self.layout.runtime}/{name}")
            write(self.copy / self.layout.runtime / name, (HERE / name).read_bytes())
        for old in self.copy.rglob("*"):
            if old.is_file() and str(old.relative_to(self.copy)) not in files:
                old.unlink()

    def digest_of_tests(self, programs):
        parts = [f.encode() + (self.top / f).read_bytes() for f in sorted(self.files())
                 if f.startswith("tests/")]
        return digest(b"\0".join([repr(programs).encode(), *parts]))

    # The build.

    def configure(self):
        run("cmake", "-S", self.copy, "-B", self.build, "-G", "Ninja", *self.layout.cmake,
            "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")

    def make(self, *targets):
        run("cmake", "--build", self.build, "--target", *targets)

    def commands(self):
        """What the compiler is told of each file that concerns its syntax tree."""
        told = {}
        entries = json.loads((self.build / "compile_commands.json").read_text())
        for entry in entries:
            name = str(pathlib.Path(entry["file"]).relative_to(self.work))
            words = shlex.split(entry["command"])
            kept = [w for w in words if w.startswith(("-I", "-D", "-std="))]
            kept += [x for i, w in enumerate(words) if w == "-isystem" for x in (w, words[i + 1])]
            told.setdefault(name.removeprefix("tree/"), kept)
        return told

    # The mutants.

    def prepare(self, mutated, programs):
        """Builds `programs` with the mutants of `mutated`: [(Source, first number, mutants)]."""
        self.copy_files(mutated)
        self.configure()
        if self.layout.generated:
            self.make(*self.layout.generated)
        commands = self.commands()
        slots = self.slots(mutated)
        written = []
        for name in sorted(mutated):
            source, mutants = self.points(name, commands[name])
            if len(mutants) > MOST_OF_A_FILE:
                raise ValueError(f"{name} has more than {MOST_OF_A_FILE} mutants")
            first = slots[name] * MOST_OF_A_FILE + 1
            write(self.copy / name, schemata.write(source, mutants, first).encode())
            written.append((source, first, mutants))
        self.make(*programs)
        return written

    def points(self, name, arguments):
        """Found once for each text of a file."""
        text = (self.top / name).read_text()
        kept = self.work / "points" / digest((self.tool + name + text).encode())
        if kept.exists():
            return pickle.loads(kept.read_bytes())
        try:
            found = c_points.find(name, text, arguments)
        except ValueError as error:
            raise BuildFailed(str(error)) from None
        write(kept, pickle.dumps(found))
        return found

    def slots(self, mutated):
        path = self.work / "slots.json"
        slots = json.loads(path.read_text()) if path.exists() else {}
        for name in sorted(mutated):
            slots.setdefault(name, len(slots))
        if len(slots) >= ROOM // MOST_OF_A_FILE:
            slots = {name: i for i, name in enumerate(sorted(mutated))}
        write(path, json.dumps(slots, indent=1).encode())
        return slots


def digest(data):
    return hashlib.sha1(data).hexdigest()


def write(path, data):
    """Leaves a file alone that is as it should be."""
    if path.exists() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(*words):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailed(f"{' '.join(str(w) for w in words)}\n{done.stdout}")
