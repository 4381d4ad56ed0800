# Stands in for caddy:2.10-alpine with Debian's Caddy 2.6.
FROM returns-pipeline-debian:bookworm
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends caddy ca-certificates >/dev/null \
 && rm -rf /var/lib/apt/lists/*
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
