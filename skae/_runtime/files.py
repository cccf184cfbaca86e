"""Files that are written completely or not at all."""

import os
import secrets
import shutil
from pathlib import Path

__all__ = ["check_path", "write_whole"]


def check_path(path: str | os.PathLike[str]) -> None:
    """Refuse a path to which no file can be written.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    IsADirectoryError
        If it is a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(path.parent)!r} to write {path.name!r} to: make "
            "it first, or pass another path."
        )
    if path.is_dir():
        raise IsADirectoryError(
            f"path={str(path)!r} is a folder. Pass the path of a file, such as "
            f"{str(path / 'report.html')!r}."
        )


def write_whole(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file. Replace an existing one only after all text is on the disk.

    Readers find either the old text or the new text, even after a crash.

    Parameters
    ----------
    path : str or os.PathLike
        Path of the file. Its folder must exist.
    text : str

    Returns
    -------
    path : Path

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        See `check_path`.
    """
    check_path(path)
    path = Path(path)
    target = path.resolve()  # for a link, the file that it points to
    # In the same folder, because a rename between file systems would be a copy.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
