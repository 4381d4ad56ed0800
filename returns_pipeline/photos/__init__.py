"""Photos as files: found by a source, grouped in chunks, decoded to pixels, moved to the archive.

source, folder        where photos come from and go: the interface, and folders of this machine
intake_rules          which photos of an intake are taken
chunking              photos to chunks
decoding              a photo's bytes to pixels
destinations          where a chunk's photos go
"""
