# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN pip install 'uv>=0.9,<1'
WORKDIR /build
# what changes least comes first: the dependencies, in the versions of uv.lock
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN python -m venv /opt/evigraph \
    && uv export --quiet --frozen --no-dev --no-emit-project --output-file requirements.txt \
    && /opt/evigraph/bin/pip install --require-hashes -r requirements.txt
COPY api ./api
COPY encoders ./encoders
COPY ingestion ./ingestion
COPY kg ./kg
COPY reasoning ./reasoning
RUN /opt/evigraph/bin/pip install --no-deps . && /opt/evigraph/bin/pip uninstall --yes pip

FROM python:3.12-slim
# OpenMP, for LightGBM
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin evigraph \
    && install --directory --owner evigraph --group evigraph --mode 750 /data
COPY --from=build /opt/evigraph /opt/evigraph
ENV PATH=/opt/evigraph/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    EVIGRAPH_HOST=0.0.0.0 \
    EVIGRAPH_DATA=/data \
    EVIGRAPH_GRAPH=embedded:/data \
    EVIGRAPH_LOG_FORMAT=json
USER evigraph
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/v1/healthz', timeout=4)"]
# listens beyond loopback, so it starts only with a key: set EVIGRAPH_ADMIN_KEY
ENTRYPOINT ["evigraph"]
CMD ["serve"]
