"""Make the small pictures of the examples' page from what the examples have saved.

python docs/images/gallery.py    # of all pictures in out/
"""

from pathlib import Path

from PIL import Image

WIDTH = 720
FOLDER = Path(__file__).parent / "examples"


def main():
    """Shrink each picture to a width and 64 colours."""
    FOLDER.mkdir(exist_ok=True)
    for path in sorted(Path("out").glob("*.png")):
        with Image.open(path) as picture:
            height = round(picture.height * min(1, WIDTH / picture.width))
            small = picture.convert("RGB").resize(
                (min(WIDTH, picture.width), height), Image.Resampling.LANCZOS
            )
        small.quantize(64).save(FOLDER / path.name, optimize=True)
        print(FOLDER / path.name)


if __name__ == "__main__":
    main()
