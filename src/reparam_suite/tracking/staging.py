"""Staged files: moved to their final names, removed, or not copied at all."""

import os
import shutil
from contextlib import suppress
from pathlib import Path


def place(source: Path, target: Path) -> None:
    """Moves a file or directory to its final name, which it never has while incomplete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
    except OSError:  # on another file system: copied beside the target first
        partial = target.with_name(f".{target.name}.incomplete")
        if source.is_dir():
            shutil.copytree(source, partial, dirs_exist_ok=True)
        else:
            shutil.copy2(source, partial)
        os.replace(partial, target)


def discard(staged: Path) -> None:
    """Removes what was staged, and the directory that was made for it."""
    if staged.is_dir():
        shutil.rmtree(staged)
    staged.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        staged.parent.rmdir()


def second_name(source: Path, target: Path) -> None:
    """Gives a file that is never changed in place a further name, which takes no room; a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without second names
        shutil.copyfile(source, target)
