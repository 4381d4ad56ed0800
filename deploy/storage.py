"""An S3 server that keeps its objects in memory: to try the pipeline with, not to keep photos in.

It creates the buckets that BUCKETS names, separated by commas.
"""

import os
import threading

import boto3
from moto.server import ThreadedMotoServer

PORT = 9000

server = ThreadedMotoServer(port=PORT, verbose=False)
server.start()
client = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{PORT}",
    region_name="us-east-1",
    aws_access_key_id="any",
    aws_secret_access_key="any",  # noqa: S106 - moto takes every key
)
for name in os.environ["BUCKETS"].split(","):
    client.create_bucket(Bucket=name)
print(f"The buckets {os.environ['BUCKETS']} are at port {PORT}.", flush=True)
threading.Event().wait()
