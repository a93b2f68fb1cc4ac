# channelsync in a container: `docker build -t channelsync .`, then see compose.example.yaml and docs/container.md.
# To pin the base to the bit: --build-arg PYIMAGE=python:3.13-slim-bookworm@sha256:...
ARG PYIMAGE=python:3.13-slim-bookworm

FROM ${PYIMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# What it needs comes before what it is, so that a change of the source downloads nothing.
COPY requirements/build.txt requirements/run.txt requirements/
RUN python3 -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY connectors connectors
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /src/wheel . \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --no-index /src/wheel/*.whl

FROM ${PYIMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="channelsync" \
    org.opencontainers.image.description="Keeps one truth of a seller's stock and makes every sales channel show the right quantity." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
# Debian keeps one version of tini per release: there is nothing to pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 channelsync \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin channelsync \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
COPY --from=build /opt/venv /opt/venv
# The port is open to whoever the container's network lets in; nothing but /data and /tmp is written.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CHANNELSYNC_CONFIG=/data/config.toml \
    CHANNELSYNC_WEB__LISTEN=0.0.0.0:8080
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["channelsync", "health"]
ENTRYPOINT ["/usr/bin/tini", "--", "channelsync"]
CMD ["run"]
