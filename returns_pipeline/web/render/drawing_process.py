"""A process that draws pictures for the web: `python -m returns_pipeline.web.render.drawing_process MIB`.

It reads orders from its input and writes replies to its output. A photo that takes more than MIB of memory
fails alone; one that takes too long, or crashes the decoder, ends this process and not the web.
"""

import os
import resource
import signal
import sys

from returns_pipeline.child_limits import limit_memory, lower_limit
from returns_pipeline.errors import ImageFault
from returns_pipeline.web.render.drawing import draw
from returns_pipeline.web.render.orders import TOO_MUCH_MEMORY, Reply, read_order, write_reply


def main() -> None:
    """Draw until the input ends, which it does when the web ends for any reason."""
    limit_memory(int(sys.argv[1]) * 1024 * 1024)
    # No decoder has a reason to write a file.
    lower_limit(resource.RLIMIT_FSIZE, 0)
    orders = sys.stdin.buffer
    # A decoder that prints must not spoil a reply.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (found := read_order(orders)) is not None:
        order, heat, photo = found
        # Without a handler the kernel ends the process, also in the middle of a decoder.
        signal.setitimer(signal.ITIMER_REAL, order.seconds)
        try:
            reply = Reply(draw(order, heat, photo))
        except ImageFault as fault:
            reply = Reply(None, fault.code)
        except MemoryError:
            reply = Reply(None, TOO_MUCH_MEMORY)
        signal.setitimer(signal.ITIMER_REAL, 0)
        del found, photo
        write_reply(replies, reply)


if __name__ == "__main__":
    main()
