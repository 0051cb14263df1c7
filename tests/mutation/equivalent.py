"""equivalent.txt: the mutants that no test can notice, each with the reason.

An entry begins with a line `path:function`, goes on with the lines that go (`- `) and come (`+ `),
as a survivor's diff shows them but without their indentation, and ends with the reason. Empty
lines separate entries; a line that begins with `#` is a comment."""

import dataclasses


@dataclasses.dataclass
class Entry:
    line: int
    place: str
    gone: list
    come: list
    reason: str
    matches: int = 0


def read(text):
    entries, block, first = [], [], 1
    for number, line in enumerate([*text.splitlines(), ""], 1):
        line = line.strip()
        if line and not line.startswith("#"):
            block.append(line)
        elif not line and block:
            entries.append(entry(block, first))
            block = []
        if not block:
            first = number + 1
    return entries


def entry(block, line):
    place, *rest = block
    gone = [text[1:].strip() for text in rest if text.startswith("-")]
    come = [text[1:].strip() for text in rest if text.startswith("+")]
    reason = " ".join(text for text in rest if not text.startswith(("-", "+")))
    if ":" not in place or not gone or not reason:
        raise ValueError(f"equivalent.txt, line {line}: not path:function, a change and a reason")
    return Entry(line, place, gone, come, reason)


class Explained:
    def __init__(self, entries):
        self.entries = entries

    def why(self, source, mutant):
        place = f"{mutant.path}:{mutant.function}"
        here = [e for e in self.entries if e.place == place]
        if not here:
            return None
        gone, come = source.changed_lines(mutant)
        for one in here:
            if one.gone == gone and one.come == come:
                one.matches += 1
                return one.reason
        return None

    def stale(self, paths):
        """Those that match no mutant any more of the files in `paths`."""
        return [e for e in self.entries if e.matches == 0 and e.place.split(":")[0] in paths]
