# One image for each kind of process, so that none contains libraries that it does not use:
#
#   source       the project's files only (see .dockerignore)
#   python       Python, the user, the folders, an empty environment in /opt/venv
#   libraries    + requirements.txt, or requirements-trace.txt with the argument TRACE: no TensorFlow
#   worker-gpu   + requirements-gpu.txt: Keras, TensorFlow and its CUDA libraries (several GB)
#   train        + requirements-train.txt: Keras, TensorFlow for CPUs, plots
#   collect      + requirements-collect.txt: Scrapy, which collects pictures of products
#   trimmed      libraries without what no CPU service uses: deploy/trim.py
#   cpu          python + the trimmed environment + the project without the models of Keras
#   base         same as cpu: migrations, beat, Flower, the web
#   worker-control  + requirements-recommend.txt: the worker of scans and reports learns from events at night
#   worker-cpu   same as base: OpenVINO is in requirements.txt. A separate stage for additions that only this
#                worker needs. It is the last stage, so a plain `docker build .` builds it.
#   materials    the program that lists what an image contains, in /opt/venv/materials.json (CycloneDX)
#   storage      an S3 server in memory, to try the pipeline with object storage
#
# docker-compose.yml builds base, worker-control, worker-cpu, worker-gpu, train and storage. To train a model into ./models:
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
# pip installs into this environment, which can be copied as a whole.
RUN python -m venv --without-pip /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PIP_PYTHON=/opt/venv/bin/python
WORKDIR /app

FROM python AS materials
COPY requirements-materials.txt ./
RUN python -m venv --without-pip /opt/materials
RUN --mount=type=cache,target=/root/.cache/pip \
    PIP_PYTHON=/opt/materials/bin/python pip install -r requirements-materials.txt

FROM python AS storage
COPY requirements-storage.txt deploy/storage.py ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-storage.txt
USER returns
ENTRYPOINT ["python", "storage.py"]

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
RUN --mount=from=materials,source=/opt/materials,target=/opt/materials \
    /opt/materials/bin/cyclonedx-py environment --output-file /opt/venv/materials.json /opt/venv/bin/python
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM libraries AS train
COPY requirements-train.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-train.txt
COPY --from=source /app ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
RUN --mount=from=materials,source=/opt/materials,target=/opt/materials \
    /opt/materials/bin/cyclonedx-py environment --output-file /opt/venv/materials.json /opt/venv/bin/python
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM libraries AS collect
COPY requirements-collect.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-collect.txt
COPY --from=source /app ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .
RUN --mount=from=materials,source=/opt/materials,target=/opt/materials \
    /opt/materials/bin/cyclonedx-py environment --output-file /opt/venv/materials.json /opt/venv/bin/python
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM libraries AS trimmed
# It has `strip`, and stays in this stage.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils >/dev/null
COPY deploy/trim.py ./
RUN python trim.py /opt/venv/lib/python3*/site-packages

FROM source AS source-without-keras
RUN find models -name model.keras -delete

FROM python AS cpu
COPY --from=trimmed /opt/venv /opt/venv
COPY --from=source-without-keras /app ./
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e .

FROM cpu AS worker-control
COPY requirements-recommend.txt ./
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements-recommend.txt
RUN --mount=from=materials,source=/opt/materials,target=/opt/materials \
    /opt/materials/bin/cyclonedx-py environment --output-file /opt/venv/materials.json /opt/venv/bin/python
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM cpu AS base
RUN --mount=from=materials,source=/opt/materials,target=/opt/materials \
    /opt/materials/bin/cyclonedx-py environment --output-file /opt/venv/materials.json /opt/venv/bin/python
USER returns
ENTRYPOINT ["returns-pipeline"]

FROM base AS worker-cpu
