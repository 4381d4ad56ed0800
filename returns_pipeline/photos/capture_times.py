"""When a photo was taken, as its camera wrote it."""

from typing import BinaryIO

from PIL import ExifTags, Image

#: Characters of a moment, `2026:05:04 10:20:30`. It sorts as text.
_LENGTH = 19
_SUBSECONDS = 9


def captured_at(stream: BinaryIO) -> str | None:
    """Return when the photo in a stream was taken, as text that sorts by time; None if it does not say.

    The time is the camera's own, without a zone. Reads the head of the file and decodes no pixels.
    """
    try:
        with Image.open(stream) as image:
            exif = image.getexif()
            of_photo = exif.get_ifd(ExifTags.IFD.Exif)
            found = of_photo.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
            fraction = of_photo.get(ExifTags.Base.SubsecTimeOriginal)
    except Exception:  # the head of a file from outside may be anything
        return None
    if not isinstance(found, str) or not found[:4].isdigit() or found.startswith("0000"):
        return None
    digits = str(fraction or "").strip("\0 ")
    return f"{found[:_LENGTH]:<{_LENGTH}}.{digits[:_SUBSECONDS] if digits.isdigit() else ''}"
