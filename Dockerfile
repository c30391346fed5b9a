# Training on an NVIDIA GPU: needs the NVIDIA container toolkit on the host, and nothing else there.
#   docker build -t agegender .
#   docker run --gpus all -v "$PWD:/data" agegender train stores/fairface --model mobilenetv2 --output runs/first
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/agegender
COPY cpp cpp
COPY packages packages
RUN pip install --no-cache-dir packages/agegender-core "packages/agegender-train[gpu]" packages/agegender-cli packages/agegender

WORKDIR /data
ENTRYPOINT ["agegender"]
CMD ["--help"]
