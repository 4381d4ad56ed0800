# Stands in for postgres:17-bookworm with Debian's PostgreSQL 15. UTF-8 matters: in a SQL_ASCII database psycopg
# answers in bytes.
FROM returns-pipeline-debian:bookworm
RUN useradd -r -u 999 -U -d /var/lib/postgresql postgres \
 && apt-get update -qq && apt-get install -y -qq --no-install-recommends locales postgresql-common >/dev/null \
 && localedef -i en_US -c -f UTF-8 en_US.UTF-8 \
 && echo 'create_main_cluster = false' >> /etc/postgresql-common/createcluster.conf \
 && apt-get install -y -qq --no-install-recommends postgresql >/dev/null && rm -rf /var/lib/apt/lists/* \
 && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data \
 && install -d -o postgres -g postgres -m 3777 /var/run/postgresql
COPY --chmod=755 postgres.sh /usr/local/bin/docker-entrypoint.sh
ENV LANG=en_US.utf8 PGDATA=/var/lib/postgresql/data PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
