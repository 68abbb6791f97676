# Images built from Dockerfiles by the container engine at $DOCKER_URL, without a registry. Source, after lib.sh, from the repository's
# folder; do not run.
# shellcheck shell=bash
images=$DEVCLUSTER_HOME/images
python_base=dev.local/python:3.11
mkdir -p "$images"

engine() { docker -H "$DOCKER_URL" "$@"; }

has_image() { engine image inspect "$1" >/dev/null 2>&1; }

quietly() {
    "$@" >"$DC_LOG/image.log" 2>&1 || {
        tail -n 20 "$DC_LOG/image.log" >&2
        exit 1
    }
}

# make_archive ARCHIVE PACKAGE[,PACKAGE...]   a Debian with them, once. Needs no engine.
make_archive() {
    local archive=$1 packages=$2 rootfs
    [ ! -s "$archive" ] || return 0
    say "image: making a Debian with $packages by debootstrap"
    rootfs=$(mktemp -d "$images/base.XXXXXX")
    quietly debootstrap --variant=minbase "--include=ca-certificates,$packages" bookworm "$rootfs"
    chmod 0755 "$rootfs"
    # As python:slim has it: pip installs into the system, and the interpreter is called python.
    rm -rf "$rootfs"/var/cache/apt/* "$rootfs"/var/lib/apt/lists/* "$rootfs"/usr/share/doc "$rootfs"/usr/share/man
    rm -f "$rootfs"/usr/lib/python3*/EXTERNALLY-MANAGED
    [ ! -e "$rootfs/usr/bin/python3" ] || ln -s python3 "$rootfs/usr/bin/python"
    tar -C "$rootfs" --one-file-system -cf "$archive.part" .
    mv "$archive.part" "$archive"
    rm -rf --one-file-system "$rootfs"
}

make_python_base() {
    make_archive "$images/python.tar" python3,python3-pip,python3-venv
    has_image "$python_base" || engine import "$images/python.tar" "$python_base" >/dev/null
}

# How an image is known here and in containerd, whatever it is called: by all that goes into it but our own code.
kept_as() {
    local context=$1 lock=$2 kind
    [ "$context" = . ] && kind=gateway || kind=$(basename "$context")
    echo "kept-$kind-$(cat "$context/Dockerfile" "$lock" | sha256sum | cut -c1-16)"
}

# build_kept CONTEXT LOCK   the archive of dev.local/<kept_as>:1, once for the same files.
build_kept() {
    local context=$1 lock=$2 kept
    kept=$(kept_as "$@")
    [ ! -s "$images/$kept.tar" ] || return 0
    make_python_base
    rm -rf "$context/build/wheels"
    quietly .venv/bin/python -m pip download --disable-pip-version-check --only-binary :all: --python-version 3.11 \
        --implementation cp --require-hashes -d "$context/build/wheels" -r "$lock"
    say "image: building $context/Dockerfile"
    DOCKER_BUILDKIT=0 quietly docker -H "$DOCKER_URL" build --network none --build-arg "BASE_IMAGE=$python_base" \
        --build-arg PIP_NO_INDEX=1 --build-arg COMPILE=0 -t "dev.local/$kept:1" "$context"
    rm -f "$images/${kept%-*}"-*.tar
    engine save "dev.local/$kept:1" -o "$images/$kept.part"
    mv "$images/$kept.part" "$images/$kept.tar"
}
