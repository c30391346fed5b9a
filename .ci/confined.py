"""Run a command that may open no socket and, with `--write`, may write nowhere but in the folders that are named.

    python3 .ci/confined.py [--write FOLDER]... -- COMMAND...

The kernel (Linux; seccomp and Landlock) sees what native code does, too, needs no rights, and holds for root. A socket
ends the command with SIGSYS; a file elsewhere can't be opened for writing, as on a system that is mounted read-only.
Exit code 77: this kernel can't confine it.
"""

import ctypes
import os
import platform
import struct
import sys

CANNOT = 77
SOCKET_CALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
LIBC = ctypes.CDLL(None, use_errno=True)


def forbid_sockets() -> None:
    """Every system call that opens a socket, and every one of another architecture, is fatal from now on."""
    architecture, number = SOCKET_CALLS[platform.machine()]
    load, equal, give, kill, allow = 0x20, 0x15, 0x06, 0x80000000, 0x7FFF0000
    lines = (
        *((load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill)),
        *((load, 0, 0, 0), (equal, 0, 1, number), (give, 0, 0, kill), (give, 0, 0, allow)),
    )
    program = b"".join(struct.pack("HBBI", *line) for line in lines)
    memory = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(memory))
    if LIBC.prctl(38, 1, 0, 0, 0) != 0 or LIBC.prctl(22, 2, header, 0, 0) != 0:
        sys.exit(CANNOT)


def forbid_writing_outside(folders: list[str]) -> None:
    """Nothing can be written, made, moved or removed any more but below `folders`, and to /dev/null."""
    create, add, restrict = 444, 445, 446
    version = LIBC.syscall(create, None, ctypes.c_size_t(0), 1)
    if version < 1:
        sys.exit(CANNOT)
    write_file, removing_and_making = 1 << 1, sum(1 << bit for bit in range(4, 13))
    moving = 1 << 13 if version >= 2 else 0
    rights = write_file | removing_and_making | moving | (1 << 14 if version >= 3 else 0)
    ruleset = LIBC.syscall(create, struct.pack("Q", rights), ctypes.c_size_t(8), 0)
    for path, granted in [("/dev/null", write_file), *((folder, rights) for folder in folders)]:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if LIBC.syscall(add, ruleset, 1, struct.pack("=Qi", granted, place), 0) != 0:
            sys.exit(CANNOT)
        os.close(place)
    if LIBC.prctl(38, 1, 0, 0, 0) != 0 or LIBC.syscall(restrict, ruleset, 0) != 0:
        sys.exit(CANNOT)


def main(words: list[str]) -> None:
    """Confine this process, then become the command."""
    end = words.index("--")
    folders = [folder for option, folder in zip(words[:end:2], words[1:end:2], strict=True) if option == "--write"]
    if len(folders) != end / 2:
        sys.exit(__doc__)
    if platform.machine() not in SOCKET_CALLS:
        sys.exit(CANNOT)
    if folders:
        forbid_writing_outside(folders)
    forbid_sockets()
    os.execvp(words[end + 1], words[end + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
