"""Seeded damage of files, and a process with limits in which they are read."""

import multiprocessing
import resource
import signal
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

LARGEST_MEMORY_BYTES = 2 * 10**9
LARGEST_SECONDS = 20
EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]
TOKENS = ["", "-1", "0", "1e308", "nan", ".inf", "9" * 20, "null", "[]", "{}", "'", '"', "\0", "ü", "../..", "&a", "*a"]
TOKENS += ["!!python/object:os.system", "<<: *x", "\t", "$(touch X)", "[" * 2000, "2026-99-99", "\x85", "\ufeff"]


def damaged(content: bytes, rng: np.random.Generator, header: int = 2000) -> bytes:
    """A copy of a binary file with one to three faults, most of them where headers lie."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(min(header, len(data)) if rng.random() < 0.7 else len(data)))
        length = int(2 ** rng.integers(0, 9))
        match int(rng.integers(7)):
            case 0:
                for offset in rng.integers(0, min(header, len(data)), size=rng.integers(1, 9)):
                    data[int(offset)] ^= 1 << int(rng.integers(8))
            case 1:
                value, width = EXTREMES[rng.integers(len(EXTREMES))], int(2 ** rng.integers(0, 4))
                order = ("little", "big")[rng.integers(2)]
                data[place : place + width] = (value % 256**width).to_bytes(width, order)
            case 2:
                data = data[: max(1, place)]
            case 3:
                del data[place : place + length]
            case 4:
                data[place:place] = data[place : place + length]
            case 5:
                data[place : place + length] = rng.bytes(length)
            case 6:
                data[place : place + length] = bytes(length)
        data = data or bytearray(b"\0")
    return bytes(data)


def garbled(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy of a text file with words, numbers and lines that somebody might write by mistake or on purpose."""
    text = content.decode()
    for _ in range(rng.integers(1, 4)):
        words = [place for place, letter in enumerate(text) if letter in " :,[]{}\n\"'"] or [0]
        start = int(words[rng.integers(len(words))])
        end = next((place for place in words if place > start), len(text))
        token = TOKENS[rng.integers(len(TOKENS))]
        match int(rng.integers(4)):
            case 0:
                text = text[: start + 1] + token + text[end:]
            case 1:
                text = text[:start] + text[end:]
            case 2:
                lines = text.splitlines(keepends=True)
                text = "".join(lines[i] for i in rng.permutation(len(lines)))
            case 3:
                text = text[:start] + token + text[start:]
    return text.encode("utf-8", "surrogatepass")


def copies(content: bytes, n: int, seed: int, how: Callable[..., bytes] = damaged, **settings: int) -> Iterator[bytes]:
    """``n`` damaged copies; copy k depends on the seed and k alone."""
    return (how(content, np.random.default_rng([seed, number]), **settings) for number in range(n))


def faults(read: Callable[[Path], object], paths: list[Path], seconds: int = LARGEST_SECONDS) -> list[str]:
    """Read every file in a process of its own; what goes wrong, in words; nothing if all is well.

    ``read`` raises nothing; it may take 2 GB and so many seconds for a file.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_read_all, args=(read, paths, theirs, seconds))
    process.start()
    theirs.close()
    found: list[str] = []
    last = "the start"
    try:
        while True:
            if not ours.poll(seconds + LARGEST_SECONDS):
                process.kill()  # a library that hangs hears no alarm
            if (told := ours.recv()) is None:
                break
            if told[0] == "fault":
                found.append(told[1])
            last = told[1]
    except EOFError:
        process.join()
        found.append(f"the process died ({process.exitcode}) after {last}")
    process.join()
    return found


def _read_all(read: Callable[[Path], object], paths: list[Path], told: Connection, seconds: int) -> None:
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = virtual + LARGEST_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for path in paths:
        told.send(("reads", path.name))
        signal.setitimer(signal.ITIMER_REAL, seconds)
        signal.signal(signal.SIGALRM, _too_long)
        try:
            read(path)
        except BaseException:
            told.send(("fault", f"{path.name}: {traceback.format_exc(limit=-4)}"))
        signal.setitimer(signal.ITIMER_REAL, 0)
    told.send(None)


def _too_long(*_: object) -> None:
    raise TimeoutError("too long")
