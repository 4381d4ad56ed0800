"""Media types of photos."""

#: Media types of the formats that a file's first bytes name. A file of any other format is sent as bytes.
TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "TIFF": "image/tiff",
    "JPEG2000": "image/jp2",
}
#: Formats that every browser shows as a picture, and never as a page.
SHOWN = frozenset({"JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"})
#: The type of a file of which nothing is known.
BYTES = "application/octet-stream"
