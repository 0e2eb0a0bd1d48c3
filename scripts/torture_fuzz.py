"""Mutated files for every reader of ala: the part of scripts/torture that tries what others may hand over."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# An answer, or a sentence with the code that fits it.
CODES = {0, 65, 66, 69, 73, 78}
SECONDS = 60
# More memory than a sound file of its kind takes.
MOST_MIB = 512


def mutate(draw, sound, head):
    """Bytes near to the sound ones; those of the first `head`, where formats keep their words, are changed more often."""
    data = bytearray(sound)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        reach = min(len(data), head) if draw.random() < 0.6 else len(data)
        if reach == 0:
            break
        at = draw.randrange(reach)
        kind = draw.randrange(8)
        if kind < 2:
            data[at] = draw.randrange(256)
        elif kind == 2:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 3:
            width = draw.choice([1, 2, 4, 8])
            data[at:at + width] = draw.choice([b"\xff", b"\x00", b"\x80", b"\x7f"]) * width
        elif kind == 4:
            data[at:at + draw.randrange(1, 64)] = b""
        elif kind == 5:
            data[at:at] = data[draw.randrange(reach):][:draw.randrange(1, 64)]
        elif kind == 6:
            data = data[:draw.randrange(len(data) + 1)] if draw.random() < 0.3 else data
        else:
            words = [b"-1", b"0", b"99999999999999999999", b"1e999", b"nan", b'"', b"[", b"{", b"\n", b"../", b"\xff\xfe", b"&a [*a]"]
            data[at:at + draw.randrange(4)] = draw.choice(words)
    return bytes(data)


def retold(draw, sound):
    """A text with other values in place of one or two of its own: its form stays sound, so that they are looked at."""
    for _ in range(draw.choice([1, 2])):
        words = list(re.finditer(rb'"(?:[^"\\]|\\.)*"|[-+\w.]+', sound))
        values = [b"null", b"true", b"0", b"-1", b"1e308", b"-0.0", b"nan", b'""', b'"nan"', b'"../x"', b"[]", b"{}", b"[[1]]",
                  b"9223372036854775807", b"99999999999999999999", b"4294967296", draw.choice(words)[0]]
        word = draw.choice(words)
        sound = sound[:word.start()] + draw.choice(values) + sound[word.end():]
    return sound


# What whoever means harm would do: the file is made right again where it tells of itself.

def checkpoint(draw, sound):
    """With another digest."""
    data = mutate(draw, sound, 2048)
    if len(data) <= 512:
        return data
    line = b"ala-checkpoint sha256 " + hashlib.sha256(data[512:]).hexdigest().encode() + b"\n"
    return line + data[len(line):]


def png(draw, sound):
    """Half of them with other checksums of their chunks."""
    data = mutate(draw, sound, 2048)
    if draw.random() < 0.5:
        return data
    data, at = bytearray(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at:at + 4], "big")
        if end + 4 > len(data):
            break
        data[end:end + 4] = zlib.crc32(data[at + 4:end]).to_bytes(4, "big")
        at = end + 4
    return bytes(data)


def safetensors(draw, sound):
    """Half of them with other values in a header of the length that is said."""
    if draw.random() < 0.5:
        return mutate(draw, sound, 4096)
    end = 8 + int.from_bytes(sound[:8], "little")
    header = retold(draw, sound[8:end])
    return len(header).to_bytes(8, "little") + header + sound[end:]


def text(draw, sound):
    """Half of them with other values."""
    return retold(draw, sound) if draw.random() < 0.5 else mutate(draw, sound, 2048)


def plain(draw, sound):
    return mutate(draw, sound, 2048)


class Reader:
    """A kind of file: a sound one, where its copies go, and what reads them."""

    def __init__(self, name, sound, command, change=plain, folder=None):
        self.name, self.sound, self.command, self.change = name, Path(sound), command, change
        # The mutated file's own folder starts as a copy of this one.
        self.folder = folder


def readers(bench):
    root, run = bench.folder, bench.folder / "reference"
    bench.call(["cache", *bench.settings("c", f"cache.dir={root}/fuzz-cache")])
    bench.call(["evaluate", *bench.settings("reference", "evaluation.steps=4"), "--checkpoint", run, "--out",
                root / "fuzz-test", "--limit", "4"])
    pictures = Path(__file__).resolve().parent.parent / "Tests/ImagesTests/Fixtures"
    tables = root / "fuzz-text"
    tables.mkdir()
    for name in ("classes", "images", "image_class_labels", "train_test_split", "bounding_boxes"):
        if (root / f"data/{name}.txt").exists():
            shutil.copy(root / f"data/{name}.txt", tables)
    os.symlink(root / "data/images", tables / "images")

    def inspect(file):
        return ["inspect", file]

    def explain(file):
        return ["explain", file, "--checkpoint", run, "--out", f"{file}-out"]

    def look(file):
        return ["watch", os.path.dirname(file), "--once", "--out", f"{file}.html"]

    def survey(file):
        more = ["run.dir=" + os.path.dirname(file) + "/run", "data.root=" + os.path.dirname(file), "data.segmentations=none"]
        sets = [word for pair in more for word in ("--set", pair)]
        return ["train", "--config", root / "c.yaml", *sets, "--stop-after-steps", "1"]

    def page(file):
        return ["report", os.path.dirname(file), "--out", f"{file}.html"]

    def verify(file):
        return ["cache", *bench.settings("c", "cache.dir=" + os.path.dirname(file)), "--verify"]

    def mend(file):
        return ["cache", *bench.settings("c", "cache.dir=" + os.path.dirname(file))]

    def encode(file):
        more = ["--set", f"encoder.weights={file}", "--set", f"run.dir={file}-run", "--stop-after-steps", "1"]
        return ["train", "--config", root / "c.yaml", *more]

    weights, shard = root / "data/encoder.safetensors", next((root / "fuzz-cache").glob("shard-*.h5"))
    found = [
        Reader("safetensors", weights, [inspect, inspect, inspect, encode], safetensors),
        Reader("yaml", root / "c.yaml", [lambda file: ["train", "--config", file, "--dry-run"]], text),
        Reader("checkpoint", run / "checkpoints/last.h5",
               [inspect, inspect, lambda file: ["export", "--checkpoint", file, "--out", f"{file}-out"]], checkpoint),
        Reader("shard", shard, [inspect, verify, mend], folder=root / "fuzz-cache"),
        Reader("index", root / "fuzz-cache/index.h5", [inspect, verify, mend], folder=root / "fuzz-cache"),
        Reader("explanations", root / "fuzz-test/explanations.h5", [inspect, page], folder=root / "fuzz-test"),
        Reader("summary", root / "fuzz-test/summary.json", [page], text, folder=root / "fuzz-test"),
        Reader("per_image", root / "fuzz-test/per_image.csv", [page], text, folder=root / "fuzz-test"),
        Reader("metrics", run / "metrics.jsonl", [page, look], text, folder=run),
        Reader("split", run / "split.json", [inspect], text),
    ]
    found += [Reader(f"cub {path.stem}", path, [survey], text, folder=tables) for path in sorted(tables.glob("*.txt"))]
    found += [Reader(f"image {name}", pictures / name, [explain], png if name.endswith("png") else plain)
              for name in ("420.jpg", "progressive.jpg", "cmyk.jpg", "alpha.png", "interlaced.png")]
    return found


def run(bench, program, arguments):
    """Exit code, what it said, and the most memory that it took in MiB; the code is None where it did not end."""
    process = subprocess.Popen([program, *map(str, arguments)], env=bench.environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, start_new_session=True)
    late = threading.Event()

    def stop():
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(SECONDS, stop)
    timer.start()
    words = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    return (None if late.is_set() else process.returncode), words, usage.ru_maxrss // 1024


class Server:
    """A program of Tests/CommandServer's: it runs command after command, and is started again where one ends it, and
    now and then, for what a command leaves in memory is no fault of the next one."""

    MOST_COMMANDS = 500

    def __init__(self, bench, program, environment):
        self.bench, self.program, self.process, self.count = bench, program, None, 0
        self.environment = bench.environment | environment
        self.errors = tempfile.TemporaryFile(dir=bench.folder)

    def start(self):
        self.process = subprocess.Popen([self.program], env=self.environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True)

    def run(self, arguments):
        """As `run`; the memory is what the process has held at most meanwhile."""
        if self.count % self.MOST_COMMANDS == 0:
            self.end()
        if self.process is None:
            self.start()
        self.count += 1
        process, late = self.process, threading.Event()
        begin = os.fstat(self.errors.fileno()).st_size
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")

        def stop():
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(SECONDS, stop)
        timer.start()
        process.stdin.write(json.dumps([str(word) for word in arguments]).encode() + b"\n")
        process.stdin.flush()
        reply = process.stdout.readline()
        timer.cancel()
        memory = 0
        if reply:
            status = Path(f"/proc/{process.pid}/status").read_text()
            memory = int(status.partition("VmHWM:")[2].split()[0]) // 1024
            code = int(reply)
        else:
            code, self.process = process.wait(), None
        self.errors.seek(begin)
        return (None if late.is_set() else code), self.errors.read().decode(errors="replace"), memory

    def end(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.process = None


def fuzz(bench, program, draw, report, mutations, wanted, server=None, is_sanitized=False):
    """One line a reader whose name begins with one of those that are wanted; what breaks a promise is kept beside the
    working folder, and named. With a server, commands run in a process a thread; else each in one of its own. One that is
    sanitized leaves what was found in files, of which those of a child that looks into a foreign HDF5 file don't count: it
    is there to be ended by the library's faults."""
    servers, own_server = [], threading.local()
    found_by_sanitizer = bench.folder / "sanitizer"
    environment = {"ASAN_OPTIONS": f"detect_leaks=0:allocator_may_return_null=1:log_path={found_by_sanitizer}"} if is_sanitized else {}

    def answer(command):
        if server is None:
            return run(bench, program, command)
        if not hasattr(own_server, "server"):
            own_server.server = Server(bench, server, environment)
            servers.append(own_server.server)
        return own_server.server.run(command)

    for reader in readers(bench):
        base = draw.random()
        if wanted and not any(reader.name.startswith(name) for name in wanted):
            continue
        sound = reader.sound.read_bytes()

        def attempt(seed, reader=reader, sound=sound, base=base):
            own = type(draw)(f"{base}/{reader.name}/{seed}")
            data = reader.change(own, sound)
            place = bench.folder / f"fuzz-{os.getpid()}-{seed}"
            if reader.folder:
                shutil.copytree(reader.folder, place, symlinks=True)
            else:
                place.mkdir()
            try:
                file = place / reader.sound.name
                file.write_bytes(data)
                command = reader.command[seed % len(reader.command)](str(file))
                code, words, memory = answer(command)
                # Whatever has become of a cache's file, the caching pass makes it anew.
                expected = {0} if command[0] == "cache" and "--verify" not in command else CODES
                if code is None:
                    problem = f"no end in {SECONDS} s"
                elif code not in expected:
                    problem = f"ended with {code}: {words[-200:]}"
                elif memory > MOST_MIB and not is_sanitized:
                    problem = f"took {memory} MiB"
                elif code != 0 and "ala: error:" not in words:
                    problem = f"ended with {code} without a sentence"
                else:
                    return code, None
                kept = Path(f"{bench.folder}-{reader.name.replace(' ', '-')}-{seed}{reader.sound.suffix}")
                kept.write_bytes(data)
                return code, f"mutation {seed}, kept as {kept}: {problem}"
            finally:
                shutil.rmtree(place, ignore_errors=True)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(attempt, range(mutations)))
        while servers:
            servers.pop().end()
        problems = [problem for _, problem in found if problem]
        for file in sorted(bench.folder.glob(f"{found_by_sanitizer.name}.*")):
            text = file.read_text(errors="replace")
            words = next((line for line in text.splitlines() if "ERROR" in line), "")
            if not words or "HDF5Probe" in text:
                file.unlink()
                continue
            kept = shutil.move(file, f"{bench.folder}-{reader.name.replace(' ', '-')}-{file.name}")
            problems.append(f"the sanitizer's words, kept as {kept}: {words}")
        codes = {code: sum(each == code for each, _ in found) for code in sorted({c for c, _ in found if c is not None})}
        told = f"{reader.name}, {mutations} mutations, codes {codes}"
        report.tell("fuzz", told, "; ".join(problems[:3]) + f" ({len(problems)} in all)" if problems else None, count=mutations)
