"""What a mutant is: one place of a file, and the text that stands there instead."""

import dataclasses
import difflib
import hashlib


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str  # from the top of the tree
    function: str
    start: int  # bytes of the file that are replaced
    end: int
    replacement: str
    what: str  # in words

    def mutated(self, text):
        return text[: self.start] + self.replacement + text[self.end :]


@dataclasses.dataclass(frozen=True)
class Source:
    """A file, and the spans of its functions by name."""

    path: str
    text: str
    functions: dict

    def line_of(self, mutant):
        return self.text.count("\n", 0, mutant.start) + 1

    def lines_of(self, mutant):
        return range(self.line_of(mutant), self.text.count("\n", 0, mutant.end) + 2)

    def key(self, mutant):
        """Stays as it is while its function does, whatever happens around it."""
        start, end = self.functions[mutant.function]
        parts = (mutant.path, mutant.function, self.text[start:end], mutant.replacement,
                 str(mutant.start - start), str(mutant.end - start))
        return hashlib.sha1("\0".join(parts).encode()).hexdigest()

    def changed_lines(self, mutant):
        """The lines that go and those that come, without indentation."""
        return changed_lines(self.text, mutant.mutated(self.text))

    def diff(self, mutant):
        before = self.text.splitlines(keepends=True)
        after = mutant.mutated(self.text).splitlines(keepends=True)
        after = [line for i, line in enumerate(after)
                 if line.strip() or (i < len(before) and not before[i].strip())]
        lines = difflib.unified_diff(before, after, mutant.path, mutant.path, n=2)
        return "".join(lines)


def changed_lines(before, after):
    before, after = before.splitlines(), after.splitlines()
    first = 0
    while first < min(len(before), len(after)) and before[first] == after[first]:
        first += 1
    last = 0
    shortest = min(len(before), len(after)) - first
    while last < shortest and before[len(before) - 1 - last] == after[len(after) - 1 - last]:
        last += 1
    gone = [line.strip() for line in before[first : len(before) - last]]
    come = [line.strip() for line in after[first : len(after) - last]]
    return [line for line in gone if line], [line for line in come if line]
