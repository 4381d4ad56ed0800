# One image for each kind of process, so that none carries what it does not run:
#
#   source       the project's files, and only those (see .dockerignore)
#   python       Python, the user, the folders
#   libraries    + requirements.txt: no TensorFlow
#   worker-gpu   + requirements-gpu.txt: Keras, TensorFlow and its CUDA libraries (several GB)
#   train        + requirements-train.txt: Keras, TensorFlow for CPUs, plots
#   base         libraries + the project: migrations, beat, Flower, the worker of scans and reports
#   worker-cpu   base as it is: OpenVINO comes with requirements.txt. A name of its own, so that what only
#                this worker needs has a place. Being the last, it is what a plain `docker build .` makes.
#
# docker-compose.yml builds base, worker-cpu and worker-gpu. To train a model into ./models:
#
#   docker build --target train -t returns-pipeline-train .
#   docker run --rm -v ./models:/app/models returns-pipeline-train train fashion-mnist

FROM python:3.12-slim-bookworm AS source
WORKDIR /app
COPY pyproject.toml setup.py README.md LICENSE beat_schedule.py ./
COPY returns_pipeline ./returns_pipeline
COPY workers ./workers
COPY migrations ./migrations
COPY models ./models
COPY samples ./samples
# The user of the images is not the owner of these files: a checkout made with a strict umask is readable too.
RUN chmod -R a+rX /app

FROM python:3.12-slim-bookworm AS python
LABEL org.opencontainers.image.title="returns-pipeline" \
      org.opencontainers.image.description="Classifies the photos of a shop's returned items every night." \
      org.opencontainers.image.licenses="MIT"
# pip: nothing to be told about root and new versions. Python: write log lines at once, and no .pyc at run time.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RETURNS_HOME=/data
# The number of this user decides which files of the host it may move: see APP_UID in .env.example.
ARG UID=1000
RUN groupadd --gid "$UID" returns \
 && useradd --uid "$UID" --gid "$UID" --create-home --no-log-init returns
# A named volume takes its first owner from the folder that it covers.
RUN install --directory --owner=returns --group=returns \
    /data /data/incoming /data/archive /data/quarantine /data/reports
# Beat's schedule must survive a crash: this kind of file is written each time, others only when beat ends.
RUN python -c "import dbm.gnu"
WORKDIR /app

FROM python AS libraries
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt

FROM libraries AS worker-gpu
COPY requirements-gpu.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-gpu.txt
COPY --from=source /app ./
# Editable: settings/places.py and store/database.py find models and migrations beside the package. Its build tool is
# the setuptools that requirements.txt pins.
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

FROM libraries AS base
COPY --from=source /app ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM base AS worker-cpu
