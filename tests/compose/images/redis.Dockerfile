# Stands in for redis:7.2-bookworm with Debian's Redis 7.0.
FROM returns-pipeline-debian:bookworm
RUN useradd -r -u 999 -U redis && install -d -o redis -g redis /data \
 && apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server >/dev/null \
 && rm -rf /var/lib/apt/lists/*
VOLUME /data
WORKDIR /data
CMD ["redis-server"]
