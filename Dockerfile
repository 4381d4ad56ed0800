# One image for each kind of process, so that none contains libraries that it does not use:
#
#   source       the project's files only (see .dockerignore)
#   python       Python, the user, the folders
#   libraries    + requirements.txt, or requirements-trace.txt with the argument TRACE: no TensorFlow
#   worker-gpu   + requirements-gpu.txt: Keras, TensorFlow and its CUDA libraries (several GB)
#   train        + requirements-train.txt: Keras, TensorFlow for CPUs, plots
#   collect      + requirements-collect.txt: Scrapy, which collects pictures of products
#   base         libraries + the project: migrations, beat, Flower, the web
#   worker-control  + requirements-recommend.txt: the worker of scans and reports learns from events at night
#   worker-cpu   same as base: OpenVINO is in requirements.txt. A separate stage for additions that only this
#                worker needs. It is the last stage, so a plain `docker build .` builds it.
#
# docker-compose.yml builds base, worker-control, worker-cpu and worker-gpu. To train a model into ./models:
#
#   docker build --target train -t returns-pipeline-train .
#   docker run --rm -v ./models:/app/models returns-pipeline-train train fashion-mnist
#
# To collect pictures into ./pictures, which the user of the image must be able to write:
#
#   docker build --target collect -t returns-pipeline-collect .
#   docker run --rm -v ./pictures:/pictures returns-pipeline-collect collect ADDRESS --out /pictures

FROM python:3.12-slim-bookworm AS source
WORKDIR /app
COPY pyproject.toml setup.py README.md LICENSE beat_schedule.py ./
COPY returns_pipeline ./returns_pipeline
COPY workers ./workers
COPY migrations ./migrations
COPY models ./models
COPY spaces ./spaces
COPY samples ./samples
# The user of the images does not own these files. This makes a checkout with a strict umask readable too.
RUN chmod -R a+rX /app

FROM python:3.12-slim-bookworm AS python
LABEL org.opencontainers.image.title="returns-pipeline" \
      org.opencontainers.image.description="Classifies the photos of a shop's returned items every night." \
      org.opencontainers.image.licenses="MIT"
# pip: no warnings about root and new versions. Python: unbuffered log lines, and no .pyc at run time.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RETURNS_HOME=/data
# The numeric id of this user decides which files of the host it may move: see APP_UID in .env.example.
ARG UID=1000
RUN groupadd --gid "$UID" returns \
 && useradd --uid "$UID" --gid "$UID" --create-home --no-log-init returns
# A new named volume gets the owner of the folder that it is mounted on.
RUN install --directory --owner=returns --group=returns \
    /data /data/incoming /data/archive /data/quarantine /data/reports
# Beat's schedule must survive a crash. dbm.gnu writes every change; the other kinds write when beat ends.
RUN python -c "import dbm.gnu"
WORKDIR /app

FROM python AS libraries
# TRACE=1 adds what sends traces (docs/monitoring.md) to every image.
ARG TRACE=
COPY requirements.txt requirements-trace.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r "requirements${TRACE:+-trace}.txt"

FROM libraries AS worker-gpu
COPY requirements-gpu.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-gpu.txt
COPY --from=source /app ./
# Editable, because models and migrations are beside the package. The build tool is the setuptools that
# requirements.txt pins.
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM libraries AS train
COPY requirements-train.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-train.txt
COPY --from=source /app ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM libraries AS collect
COPY requirements-collect.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-collect.txt
COPY --from=source /app ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM libraries AS worker-control
COPY requirements-recommend.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-recommend.txt
COPY --from=source /app ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM libraries AS base
COPY --from=source /app ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM base AS worker-cpu
