# The one image: gateway, workers, and what runs beside a user's container (`python -m workers.pod...`).
#     docker build -t oscar-gateway .
# Packages come from the lock file, checked by their hashes. Without an index: put their wheels into build/wheels and
# say --build-arg PIP_NO_INDEX=1.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages
ARG PIP_NO_INDEX
COPY requirements.lock build/wheel[s] /wheels/
RUN python3 -m venv /opt/oscar-gateway \
    && /opt/oscar-gateway/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --find-links /wheels -r /wheels/requirements.lock \
    && /opt/oscar-gateway/bin/python -m pip uninstall --yes pip setuptools
COPY gateway /opt/oscar-gateway/app/gateway
COPY workers /opt/oscar-gateway/app/workers
RUN /opt/oscar-gateway/bin/python -m compileall -q /opt/oscar-gateway/app

FROM ${BASE_IMAGE}
COPY --from=packages /opt/oscar-gateway /opt/oscar-gateway
ENV PATH=/opt/oscar-gateway/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/oscar-gateway/app \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    HTTP_HOST=0.0.0.0 \
    LOG_FORMAT=json
RUN mkdir -m 0700 /data && chown 65532:65532 /data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
CMD ["python", "-m", "gateway"]
