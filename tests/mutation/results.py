"""What became of each mutant, kept from run to run.

That a mutant was noticed holds for as long as its function stays as it is. That it was not may end
with any change of the tests."""

import json


class Results:
    def __init__(self, path, tests):
        self.path = path
        self.tests = tests  # a digest of them
        self.known = {}
        if path.exists():
            for line in path.read_text().splitlines():
                self._take(json.loads(line))
        self.file = path.open("a")

    def _take(self, record):
        if record["verdict"] == "noticed" or record["tests"] == self.tests:
            self.known[record["key"]] = record
        else:
            self.known.pop(record["key"], None)

    def get(self, key):
        return self.known.get(key)

    def put(self, key, verdict, by):
        record = {"key": key, "verdict": verdict, "by": by, "tests": self.tests}
        self._take(record)
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()
