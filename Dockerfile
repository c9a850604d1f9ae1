# The provider, an image for a node with it, and a system extension with it: docs/building.md explains targets and arguments.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg GIT_REVISION="$(git rev-parse --short=12 HEAD)" .
#   docker buildx build --target kairos --build-arg VERSION=v1.0.0 --build-arg RKE2_VERSION=v1.33.4+rke2r1 --tag edge:v1.0.0 .
#   docker buildx build --target sysext --build-arg RKE2_VERSION=v1.33.4+rke2r1 --output type=local,dest=provider-rke2 .
ARG BASE_IMAGE=ubuntu:24.04
ARG KAIROS_INIT=quay.io/kairos/kairos-init:v0.17.3

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

FROM scratch AS provider
LABEL org.opencontainers.image.title="provider-rke2" \
      org.opencontainers.image.source="https://github.com/kairos-io/provider-rke2" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /

FROM ${KAIROS_INIT} AS kairos-init

# A distribution with the provider and RKE2.
FROM ${BASE_IMAGE} AS rke2
# Without a version the newest of the channel stable, or the one of the archive that RKE2_CONFIG names.
ARG RKE2_VERSION=
ARG RKE2_CONFIG=
COPY --from=provider / /
# A download needs curl, and certificates to trust.
RUN set -eu; \
    case "$RKE2_CONFIG" in /* | *artifacts:*) exit 0 ;; esac; \
    if command -v curl >/dev/null; then exit 0; fi; \
    if command -v apt-get >/dev/null; then \
        apt-get update; apt-get install --yes --no-install-recommends ca-certificates curl; rm -rf /var/lib/apt/lists/*; \
    elif command -v dnf >/dev/null; then dnf install --assumeyes curl; \
    elif command -v zypper >/dev/null; then zypper --non-interactive install curl; \
    elif command -v apk >/dev/null; then apk add --no-cache ca-certificates curl; \
    else echo "the image has no curl; install it, or set RKE2_CONFIG to a directory of artifacts" >&2; exit 1; fi
# What kairos-init says to a provider. A refusal has its sentence in the output.
RUN set -eu; \
    printf '{"name":"init.provider.install","data":"{\\"provider\\":\\"rke2\\",\\"version\\":\\"%s\\",\\"config\\":\\"%s\\"}","file":""}' \
        "$RKE2_VERSION" "$RKE2_CONFIG" \
        | /system/providers/agent-provider-rke2 init.provider.install | tee /tmp/answer; \
    grep -q '"state":"success"' /tmp/answer; \
    rm /tmp/answer

# An image for a node. kairos-init comes last: its phase `init` asks the provider which RKE2 is there.
FROM rke2 AS kairos
ARG VERSION=v0.0.1
RUN --mount=type=bind,from=kairos-init,src=/kairos-init,dst=/kairos-init \
    /kairos-init --stage install --version "$VERSION" && /kairos-init --stage init --version "$VERSION"

# The same two as a system extension: /usr alone, for whatever image has no other.
FROM rke2 AS sysext-tree
ARG TARGETARCH
RUN set -eu; \
    case "$TARGETARCH" in amd64) architecture=x86-64 ;; arm64) architecture=arm64 ;; *) exit 1 ;; esac; \
    tree=/sysext/usr; \
    mkdir -p "$tree/bin" "$tree/share" "$tree/lib/systemd/system" "$tree/lib/extension-release.d"; \
    cp -p /system/providers/agent-provider-rke2 /usr/bin/rke2 /usr/bin/rke2-killall.sh "$tree/bin/"; \
    cp -Rp /usr/share/rke2 "$tree/share/"; \
    cp -p /usr/lib/systemd/system/rke2-*.service /usr/lib/systemd/system/rke2-*.env "$tree/lib/systemd/system/"; \
    printf 'ID=_any\nARCHITECTURE=%s\nEXTENSION_RELOAD_MANAGER=1\n' "$architecture" \
        >"$tree/lib/extension-release.d/extension-release.provider-rke2"; \
    find /sysext -exec touch -h -d @0 {} +

FROM scratch AS sysext
COPY --from=sysext-tree /sysext/ /

# Without a target: the provider alone.
FROM provider
