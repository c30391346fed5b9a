# Two images, of which the last is made unless another is asked for; each needs an engine on the host and nothing else.
#
# Serving on the CPU; compose.yaml starts it, too:
#   docker build --target serve -t agegender-serve .
#   docker run -p 127.0.0.1:8000:8000 -e AGEGENDER_TOKEN agegender-serve
#
# Training on an NVIDIA GPU; needs the NVIDIA container toolkit on the host:
#   docker build -t agegender .
#   docker run --gpus all -v "$PWD:/data" agegender train stores/fairface --model mobilenetv2 --output runs/first
FROM python:3.11-slim-bookworm AS sources

RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/agegender
COPY cpp cpp
COPY packages packages

FROM sources AS serve-build
RUN python -m venv /opt/serve
RUN /opt/serve/bin/pip install --no-cache-dir "packages/agegender-core[serve]" packages/agegender-cli packages/agegender

FROM python:3.11-slim-bookworm AS serve
COPY --from=serve-build /opt/serve /opt/serve
# Nothing is written, and nobody needs to be root.
USER 65534:65534
ENV PATH="/opt/serve/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --start-period=20s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["agegender"]
CMD ["serve", "--host", "0.0.0.0"]

FROM sources AS train
RUN pip install --no-cache-dir packages/agegender-core "packages/agegender-train[gpu]" packages/agegender-cli packages/agegender

WORKDIR /data
ENTRYPOINT ["agegender"]
CMD ["--help"]
