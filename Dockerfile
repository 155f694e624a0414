# The command line in a container, from a checkout:
#
#   docker build -t vgae .                                                        # for a CPU
#   docker build -t vgae:gpu --build-arg TORCH=cu128 .                            # for a GPU
#   docker run --rm -v "$PWD:/work" vgae train links.csv
#   docker run --rm --gpus all -v "$PWD:/work" vgae:gpu train links.csv
#
# TORCH is the folder of a build of torch on download.pytorch.org/whl: cpu, cu126, cu128, ...
ARG PYTHON=3.12
FROM python:${PYTHON}-slim

ARG TORCH=cpu
ARG EXTRAS=fast,report,parquet
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
# torch first: it is large, and changes more rarely than the code.
COPY constraints.txt ./
RUN pip install -c constraints.txt --index-url "https://download.pytorch.org/whl/${TORCH}" \
    --extra-index-url https://pypi.org/simple torch
COPY pyproject.toml README.md LICENSE ./
COPY datasets ./datasets
COPY vgae ./vgae
RUN pip install -c constraints.txt ".[${EXTRAS}]" && rm -rf /src

# Runs and caches belong to a user without rights; /work is where files come in and go out.
RUN useradd --create-home --uid 1000 vgae && mkdir /work && chown vgae /work
USER vgae
WORKDIR /work
ENTRYPOINT ["vgae"]
CMD ["--help"]
