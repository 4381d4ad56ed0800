"""A process that reads codes: `python -m returns_pipeline.photos.codes.reading_process FORMATS PATTERN`.

It reads pictures from its input and writes their codes to its output. A picture that takes too long, or that
crashes zxing-cpp, ends this process and not the worker. FORMATS are separated by commas.
"""

import os
import resource
import signal
import sys

from PIL import Image

from returns_pipeline.child_limits import limit_memory, lower_limit
from returns_pipeline.photos.codes.orders import read_order, write_reply
from returns_pipeline.photos.codes.picture import to_grey
from returns_pipeline.photos.codes.reading import read_codes
from returns_pipeline.records.codes import CodeRules

#: Seconds of the processor for decoding a JPEG, and for reading codes.
DECODE_SECONDS, READ_SECONDS = 3.0, 1.0
#: Bytes of memory: more than a JPEG of 64 megapixels takes that is decoded scan by scan.
_MEMORY = 1 << 30


def main() -> None:
    """Read codes until the input ends, which it does when the worker ends for any reason."""
    limit_memory(_MEMORY)
    lower_limit(resource.RLIMIT_FSIZE, 0)  # nothing here has a reason to write a file
    Image.MAX_IMAGE_PIXELS = None  # the worker has checked what the picture costs
    rules = CodeRules(tuple(sys.argv[1].split(",")), sys.argv[2])
    orders = sys.stdin.buffer
    # A library that prints must not spoil a reply.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    write_reply(replies, ())  # it has started
    while (picture := read_order(orders)) is not None:
        # Without a handler the kernel ends the process, also inside of a library. The time of the processor,
        # because a machine that is busy is no fault of the picture.
        signal.setitimer(signal.ITIMER_PROF, DECODE_SECONDS)
        grey = to_grey(picture)
        signal.setitimer(signal.ITIMER_PROF, READ_SECONDS)
        codes = read_codes(grey, rules)
        signal.setitimer(signal.ITIMER_PROF, 0)
        del picture, grey
        write_reply(replies, codes)


if __name__ == "__main__":
    main()
