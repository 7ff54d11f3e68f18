import subprocess
import sys
from pathlib import Path

import pytest

from napari_unet.io.lock import FolderLock, HeldError

HOLD = """
import sys
from pathlib import Path
from napari_unet.io.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    for other in (first, second):
        with pytest.raises(HeldError):
            other.acquire()
    assert (first.held, second.held) == (True, False)
    first.release()
    first.release()
    second.acquire()
    assert (first.held, second.held) == (False, True)
    second.release()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(HeldError):
            lock.acquire()
        other.kill()
        other.wait()
    lock.acquire()
    assert lock.held
    lock.release()


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "nowhere")
    with pytest.raises(OSError):
        lock.acquire()
    assert not lock.held
