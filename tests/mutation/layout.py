"""What of this tree is mutated, and by which tests."""

import fnmatch

# Tests of these directories and names.
TESTS = ("tests/unit/test_*.c", "tests/contract/test_embedded_store.c", "tests/sim/test_sim.c")
PROGRAMS = (
    ("tests/sim/metafora-sim", "--first", "1", "--seeds", "5"),
    ("tests/sim/metafora-sim", "--first", "6", "--seeds", "40"),
    ("tests/contract/contract_embedded",),
)
MUTATED = (
    "src/*.c",
    "coordinator-etcd/grpc/*.c",
    *(f"coordinator-etcd/{name}.c" for name in (
        "arena", "document", "history", "keys", "message", "mirror", "mirror_delays", "mirror_nodes",
        "recent", "records", "table")),
    *(f"coordinator-redis/{name}.c" for name in (
        "names", "records", "reply_values", "request_bytes")),
)
# Input and output, and what only names a driver; and their tests.
LEFT_OUT = ("src/net/*", "src/process/*", "*linked*.c", "tests/unit/test_connection*.c",
            "tests/unit/test_proxy.c", "tests/unit/test_checker.c")


class Layout:
    runtime = "src"
    generated = ("coordinator-etcd/rpc.pb-c.h",)
    cmake = ("-DCMAKE_BUILD_TYPE=None", "-DCMAKE_C_FLAGS=-w", "-DMETAFORA_SANITIZE=address",
             "-DMETAFORA_PROGRAMS=OFF", "-DMETAFORA_WERROR=OFF")

    @staticmethod
    def is_built(path):
        return (path == "CMakeLists.txt"
                or path.startswith(("cmake/", "include/", "src/", "coordinator-", "tests/"))
                and not path.startswith(("tests/mutation/", "tests/packaging/", "tests/fuzz/")))

    @staticmethod
    def mutated(files):
        return {f for f in files if _any(f, MUTATED) and not _any(f, LEFT_OUT)}

    @staticmethod
    def programs(files):
        """[(target, words)], the program's path as in the build directory."""
        tests = sorted(f[:-2] for f in files if _any(f, TESTS) and not _any(f, LEFT_OUT))
        return [(words[0].rpartition("/")[2], words)
                for words in [*((t,) for t in tests), *PROGRAMS]]


def _any(path, patterns):
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
