"""How workers divide, repeat and bound their work."""

from typing import Annotated

from pydantic import BaseModel, Field

Seconds = Annotated[float, Field(ge=0)]
_MEGABYTE = 1024 * 1024


class WorkerSettings(BaseModel):
    """How workers divide, repeat and bound their work."""

    chunk_size: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Maximum number of images in a chunk, which a worker process classifies as a unit. 0: "
        "about two seconds of work, estimated from the last chunks.",
    )
    lease_seconds: float = Field(
        60.0,
        gt=0,
        le=3000,
        description="Seconds without progress after which another worker process may claim a chunk.",
    )
    resend_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds after which the message of an open chunk is sent again, if the queue is empty.",
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="Attempts at an image that is alone in its chunk, before it is quarantined or marked as "
        "failed; attempts to move a photo that may not be moved, before it stays where it is.",
    )
    image_seconds: float = Field(
        10.0,
        gt=0,
        le=3000,
        description="Maximum seconds to decode one image. It has no effect with DECODE_THREADS.",
    )
    chunk_seconds: int = Field(
        120,
        ge=1,
        le=3000,
        description="Maximum seconds for one chunk; after them its worker process is killed.",
    )
    max_pixels: int = Field(
        64_000_000,
        ge=1,
        description="Maximum pixels to decode of one image. JPEGs are counted after scaling in the decoder. "
        "Decoding takes at most 8 bytes of memory for each of these pixels, and 64 MiB.",
    )
    max_file_bytes: int = Field(50 * _MEGABYTE, ge=1, description="Maximum bytes of one file.")
    worker_processes: int = Field(
        0, ge=0, le=1024, description="Processes of one worker. 0: one for each core."
    )
    interactive_processes: int = Field(
        1,
        ge=0,
        le=1024,
        description="Processes that `up` starts for requests alone, so that no client waits for chunks of a "
        "night. 0: none, which saves the memory of one.",
    )
    worker_threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Threads of one worker process that run its model on the CPU. 0: its share of the cores.",
    )
    decode_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads of one worker process that decode images while its model runs, for example 8 "
        "for a GPU. 0: images are decoded before the model runs.",
    )
    worker_memory_mb: int = Field(
        2048,
        ge=64,
        description="Resident memory in MiB; above it a worker process is replaced after its current chunk.",
    )
    feature_cache_mb: int = Field(
        2048,
        ge=1,
        description="Maximum MiB of the features of training photos in HOME/cache/features. The ones that "
        "were not used for the longest time are deleted.",
    )
