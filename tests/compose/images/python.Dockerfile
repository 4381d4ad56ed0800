# Stands in for python:3.12-slim-bookworm with Debian's Python 3.11. As in the official image, pip may install beside
# Debian's packages and is the only package, and there are authorities of TLS: without any, no object store opens.
FROM returns-pipeline-debian:bookworm
COPY ca-certificates.crt /etc/pip-ca.crt
COPY pip.conf /etc/pip.conf
COPY pip-*.whl /tmp/
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends python3 python3-gdbm ca-certificates netbase tzdata >/dev/null \
 && rm -r /usr/lib/python3.11/EXTERNALLY-MANAGED /var/lib/apt/lists/* \
 && ln -s python3 /usr/bin/python \
 && PYTHONPATH=$(echo /tmp/pip-*.whl) python -m pip install -q --no-index --root-user-action=ignore /tmp/pip-*.whl \
 && rm /tmp/pip-*.whl
CMD ["python3"]
