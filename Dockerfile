# The provider image: one static binary, laid out as a Kairos image takes it.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg GIT_REVISION="$(git rev-parse --short=12 HEAD)" .
#
# The builder runs on the machine's own architecture and cross-compiles: no emulation, and no cross C compiler.
FROM --platform=$BUILDPLATFORM rust:1.95.0-slim AS build
ARG TARGETARCH
WORKDIR /src
# The pinned toolchain; rustup brings what the image lacks of it.
COPY rust-toolchain.toml .
RUN set -eu; \
    case "$TARGETARCH" in \
        amd64) target=x86_64-unknown-linux-musl ;; \
        arm64) target=aarch64-unknown-linux-musl ;; \
        *) echo "TARGETARCH is '$TARGETARCH': amd64 and arm64 are built" >&2; exit 1 ;; \
    esac; \
    rustup show active-toolchain || rustup toolchain install; \
    rustup target add "$target"; \
    echo "$target" >/musl-target
COPY . .
# The build context holds no .git: without this argument `--version` says `unknown`.
ARG GIT_REVISION=
RUN set -eu; \
    target=$(cat /musl-target); \
    export PROVIDER_RKE2_REVISION="$GIT_REVISION"; \
    cargo build --release --locked --bin agent-provider-rke2 --target "$target"; \
    install -D -m 0755 "target/$target/release/agent-provider-rke2" /image/system/providers/agent-provider-rke2; \
    install -D -m 0755 -t /image/opt/rke2/scripts scripts/*.sh

FROM scratch
LABEL org.opencontainers.image.title="provider-rke2" \
      org.opencontainers.image.source="https://github.com/kairos-io/provider-rke2" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
