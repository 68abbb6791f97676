# Shared helpers for the devcluster scripts.  Source, do not run.
# shellcheck shell=bash disable=SC2034
DEVCLUSTER_HOME=${DEVCLUSTER_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/oscar-gateway/cluster}
DC_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DC_BIN=$DEVCLUSTER_HOME/bin
DC_PKI=$DEVCLUSTER_HOME/pki
DC_RUN=$DEVCLUSTER_HOME/run
DC_LOG=$DEVCLUSTER_HOME/log
DC_KCFG=$DEVCLUSTER_HOME/kubeconfig          # the admin kubeconfig
K8S_VERSION=${K8S_VERSION:-v1.34.3}
COREDNS_VERSION=${COREDNS_VERSION:-v1.14.3}
SERVING_VERSION=${SERVING_VERSION:-v0.50.0}  # = release knative-v1.23.0
MINIO_VERSION=${MINIO_VERSION:-v0.0.0-20260212201848-7aac2a2c5b7c}
COMPOSE_VERSION=${COMPOSE_VERSION:-v2.40.3}
MANIFESTS=$DEVCLUSTER_HOME/manifests/knative-$SERVING_VERSION
KNATIVE=(queue controller webhook autoscaler activator)
API_PORT=${DEVCLUSTER_API_PORT:-6443}
ETCD_PORT=${DEVCLUSTER_ETCD_PORT:-12379}
NODE_NAME=${DEVCLUSTER_NODE:-dev}
BRIDGE=${DEVCLUSTER_BRIDGE:-dc0}
POD_CIDR=10.244.0.0/24
POD_GW=10.244.0.1                            # bridge address = node address = API address (full mode)
SVC_CIDR=10.96.0.0/16
CONTAINERD_SOCK=$DC_RUN/containerd.sock
mkdir -p "$DC_BIN" "$DC_PKI" "$DC_RUN" "$DC_LOG"

say()  { printf '%s\n' "$*" >&2; }
die()  { say "devcluster: $*"; exit 1; }
now()  { date +%s.%N; }
since(){ awk -v a="$1" -v b="$(now)" 'BEGIN{printf "%.1fs", b-a}'; }
kc()   { "$DC_BIN/kubectl" --kubeconfig "$DC_KCFG" "$@"; }
ctrk() { ctr -a "$CONTAINERD_SOCK" -n k8s.io "$@"; }

# Writes its input to a file, unless that is there already: kube-proxy ends when its file is written again.
write_config() {
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

# A pid file holds "<pid> <start ticks>", so that a recycled pid is never taken for ours.
ticks() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
alive() {
  local f=$DC_RUN/$1.pid pid t
  [ -s "$f" ] || return 1
  read -r pid t <"$f"
  [ "$(ticks "$pid")" = "$t" ]
}
pidof_() { local pid t; read -r pid t <"$DC_RUN/$1.pid"; echo "$pid"; }
start() {                                    # start NAME command...
  local name=$1 pid; shift
  alive "$name" && return 0
  setsid nohup "$@" >>"$DC_LOG/$name.log" 2>&1 </dev/null &
  pid=$!
  sleep 0.05
  echo "$pid $(ticks "$pid")" >"$DC_RUN/$name.pid"
}
stop() {                                     # stop NAME [seconds of grace]
  local name=$1 grace=${2:-10} pid i
  if alive "$name"; then
    pid=$(pidof_ "$name")
    kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < grace * 10; i++)); do alive "$name" || break; sleep 0.1; done
    if alive "$name"; then kill -KILL "$pid" 2>/dev/null || true; fi
  fi
  rm -f "$DC_RUN/$name.pid"
}
await() {                                    # await NAME seconds command...
  local name=$1 s=$2 i; shift 2
  for ((i = 0; i < s * 10; i++)); do
    "$@" >/dev/null 2>&1 && return 0
    if [ "$name" != - ] && ! alive "$name"; then
      tail -5 "$DC_LOG/$name.log" >&2; die "$name ended while it was waited for (log: $DC_LOG/$name.log)"
    fi
    sleep 0.1
  done
  die "no answer within ${s}s: $*"
}
