"""Files: written whole or not at all."""

import os
import secrets
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file; one that is there is replaced when all is on the disk.

    Whoever reads it meanwhile, or after a crash, finds the old text or the new one.

    Parameters
    ----------
    path : str or os.PathLike
        Its folder must exist.
    text : str

    Returns
    -------
    path : Path
    """
    path = Path(path)
    # In the same folder: a rename from elsewhere may be a copy.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
