"""Every setting of every process: environment name, default, unit, meaning. Read once, in an entry point;
frozen after."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

ZIP_OVERHEAD = 32 << 20
"""What a zip of 10,000 files with long names adds, bytes."""


class Settings(BaseModel):
    """One field a setting; its environment name is the field's in capitals. The defaults run everything in
    one process."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_dir: Path = Field(Path("data"), description="Folder of everything the embedded parts keep")
    http_host: str = Field("127.0.0.1", description="Address the API listens on")
    http_port: int = Field(8080, ge=0, le=65535, description="Port of the API; 0 picks a free one")
    public_url: str = Field("", description="How clients reach the API; default: address and port")
    gateway_processes: int = Field(
        1,
        ge=1,
        le=256,
        description="Gateway processes that share the port (`--workers N` overrides it); more than one share "
        "all parts",
    )

    oscar_username: str = Field("oscar", min_length=1, description="The administrator's user name")
    oscar_password: str = Field(
        "", repr=False, description="Their password; default: made at the first start and kept"
    )

    oidc_issuers: str = Field(
        "",
        description="Issuers (OpenID Connect, `https://…`, comma-separated) whose users may call services; "
        "empty: no users",
    )
    oidc_groups: str = Field(
        "",
        description="Groups whose members may, comma-separated; empty: every user of these issuers",
    )
    oidc_audience: str = Field("", description="Audience that their tokens must be for; empty: any")

    database_url: str = Field(
        "",
        repr=False,
        description="Ledger: `postgresql://user:password@host/database`; default: SQLite in the data folder",
    )
    registry_url: str = Field(
        "file:",
        description="Service definitions: `file:` (the data folder), `file:/a/folder` that processes share, "
        "or `kubernetes:`",
    )
    queue_url: str = Field(
        "memory:",
        repr=False,
        description="Deliveries: `memory:`, or `amqp(s)://user:password@host:port/vhost`",
    )
    objects_url: str = Field(
        "file:",
        description="Object store: `file:` (embedded S3 over the data folder), or any S3's `https://…`",
    )
    invoker_url: str = Field(
        "process:",
        description="What answers calls: `process:`, `docker:` or `auto:`; or `http://<host>:<port>`, a "
        "server that answers `POST /` for each service as `Host`; or `knative:`, or `knative+http://` and "
        "host and port of the cluster's local gateway",
    )
    launcher_url: str = Field(
        "process:", description="What runs jobs: `process:`, `docker:`, `auto:` or `kubernetes:`"
    )
    docker_url: str = Field("unix:///var/run/docker.sock", description="The container engine")

    kubeconfig: str = Field(
        "", description="Kubernetes client configuration; default: the pod's own, else `~/.kube/config`"
    )
    kubernetes_namespace: str = Field(
        "oscar-svc", min_length=1, description="Where services, their jobs and their secrets live"
    )
    internal_url: str = Field("", description="How pods reach the API; needed for `kubernetes:`")
    pod_image: str = Field("", description="This project's image, which runs beside scripts in their pods")
    pod_image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When nodes pull that image"
    )
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = Field(
        "", description="When nodes pull services' images; default: as Kubernetes does"
    )
    knative_timeout_limit_s: int = Field(
        600, ge=60, description="Longest timeout the cluster's Knative takes (`max-revision-timeout-seconds`)"
    )
    image_pull_limit_s: float = Field(
        120, gt=0, description="How long an image may fail to be pulled before its attempt is given up"
    )
    staging_limit_s: float = Field(
        3600, gt=0, le=86400, description="How long a pod may take to fetch its input and store its outputs"
    )
    pod_disk_limit: int = Field(
        64 << 30, ge=1 << 20, description="Input and output files of one pod together, bytes"
    )
    job_creates_s: float = Field(
        200, ge=1, description="Kubernetes Jobs created a second at most; it begins at 50 and adapts"
    )
    claim_key: str = Field(
        "", repr=False, description="Secret that signs pods' credentials; default: made and kept"
    )

    s3_host: str = Field("127.0.0.1", description="Address the embedded S3 listens on")
    s3_port: int = Field(9000, ge=0, le=65535, description="Port of the embedded S3; 0 picks a free one")
    s3_public_url: str = Field("", description="How clients reach the store; default: address and port")
    s3_region: str = Field("us-east-1", min_length=1, description="Region the store signs for")
    s3_access_key: str = Field(
        "",
        description="Access key of the store; default, if embedded: made at the first start and kept",
    )
    s3_secret_key: str = Field(
        "", repr=False, description="Its secret; default, if embedded: made at the first start and kept"
    )
    s3_own_bucket: str = Field(
        "oscar-gateway",
        min_length=3,
        description="What the gateway's own bucket is called in another store",
    )
    s3_events_arn: str = Field(
        "",
        description="By which target another store tells `POST /events` of new files; empty: it does not",
    )
    events_token: str = Field(
        "", repr=False, description="Bearer token of `POST /events`; empty closes that route"
    )

    process_path: str = Field("", description="PATH of scripts run as processes; default: this process's own")
    call_limit_s: float = Field(
        300, gt=0, le=86400, description="How long a call's script may take, unless the service says"
    )
    job_limit_s: float = Field(
        86400, gt=0, description="How long a job's script may take, unless the service says"
    )
    idle_limit_s: float = Field(
        300,
        gt=0,
        le=86400,
        description="How long an answer that has begun may bring nothing before it is cut",
    )
    direct_limit_s: float = Field(
        60, ge=0, le=86400, description="Calls expected to take longer are answered as jobs; 0: all of them"
    )
    direct_body_limit: int = Field(
        1 << 30, ge=0, description="Calls with a larger body are answered as jobs, bytes"
    )
    hold_limit_s: float = Field(
        290,
        ge=0,
        le=86400,
        description="How long a call answered as a job is held before 202: less than proxies in front allow",
    )
    held_calls_limit: int = Field(
        10000, ge=0, description="Calls held at the same time; beyond it they are handed over at once"
    )
    service_calls_limit: int = Field(
        500, ge=1, description="Calls of one service answered directly at the same time, unless it says"
    )
    service_calls_waiting: int = Field(
        500, ge=0, description="Calls of one service that may wait for that; beyond it 503"
    )
    caller_calls_limit: int = Field(
        1000, ge=1, description="Calls of one caller, held ones included, at the same time; beyond it 429"
    )
    calls_live_limit: int = Field(32, ge=1, description="Calls answered at the same time by a local executor")
    calls_waiting_limit: int = Field(256, ge=0, description="Calls that may wait for that; beyond it 503")
    jobs_live_limit: int = Field(4, ge=1, description="Attempts alive at the same time, over all services")
    service_live_limit: int = Field(
        0, ge=0, description="Attempts of one service alive at the same time; 0: no own limit"
    )

    run_body_limit: int = Field(1 << 30, ge=1, description="Largest body of `/run`, bytes")
    job_body_limit: int = Field(1 << 30, ge=1, description="Largest body of `/job`, bytes")
    body_limit: int = Field(4 << 20, ge=1, description="Largest body of every other request, bytes")
    object_limit: int = Field(
        5 << 40, ge=1, description="Largest object the embedded store takes, or the gateway puts, bytes"
    )
    output_limit: int = Field(16 << 30, ge=1, description="Output files of one run together, bytes")
    log_limit: int = Field(
        64 << 20, ge=1024, description="Kept of one run's log, and of its standard output as a result, bytes"
    )

    job_listing_limit: int = Field(
        70, ge=1, le=1000, description="Jobs, or objects, on a page of OSCAR's listings"
    )
    job_retention_s: float = Field(
        30 * 86400, gt=0, description="How long an ended job, its log and its result are kept"
    )
    idempotency_s: float = Field(86400, gt=0, description="How long an `Idempotency-Key` is remembered")
    reconcile_s: float = Field(
        0,
        ge=0,
        description="Seconds between two listings of every input bucket; 0: 300, or 15 where none is told",
    )
    delete_buckets: bool = Field(
        True,
        description="Deleting a service deletes buckets made for it that no other uses, as OSCAR does",
    )
    cors_origins: str = Field(
        "*", description="Origins whose pages may call the API, blank-separated; empty: none"
    )
    log_format: Literal["console", "json"] = Field("console", description="How log lines are written")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Which log lines are written"
    )
    stop_grace_s: float = Field(10, ge=0, description="How long open calls may finish after SIGTERM")

    _process: int = PrivateAttr(0)

    def of_process(self, number: int) -> "Settings":
        """Those of one of several processes that share them; the first is 1."""
        own = self.model_copy()
        own._process = number
        return own

    @property
    def process(self) -> int:
        """Which of several it is; 0 if there are none beside it."""
        return self._process

    @property
    def own_dir(self) -> Path:
        """Folder of what no other process may touch: all of `data_dir` for one that is alone."""
        return self.dir_of(self._process) if self._process else self.data_dir

    @property
    def every_dir(self) -> tuple[Path, ...]:
        """`own_dir` of all processes that share the port."""
        if not self._process:
            return (self.data_dir,)
        return tuple(self.dir_of(number + 1) for number in range(self.gateway_processes))

    def dir_of(self, process: int) -> Path:
        return self.data_dir / "processes" / str(process)

    @property
    def ledger_url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'ledger.db'}"

    @property
    def reconcile_every_s(self) -> float:
        told = self.objects_url.startswith("file:") or bool(self.s3_events_arn and self.events_token)
        return self.reconcile_s or (300 if told else 15)

    @property
    def result_limit(self) -> int:
        """Of one run's result, bytes: its outputs in a zip, or its standard output."""
        return max(self.output_limit, self.log_limit) + ZIP_OVERHEAD

    @property
    def embedded(self) -> tuple[str, ...]:
        """The settings whose part lives in one process: as long as there is any, that process does the work
        too, since no other could."""
        parts = {
            "DATABASE_URL": self.ledger_url.startswith("sqlite"),
            "REGISTRY_URL": self.registry_url == "file:",
            "QUEUE_URL": self.queue_url.startswith("memory:"),
            "OBJECTS_URL": self.objects_url.startswith("file:"),
        }
        return tuple(name for name, embedded in parts.items() if embedded)


def listed(text: str) -> tuple[str, ...]:
    """The parts of a setting that is a comma-separated list."""
    return tuple(part for one in text.split(",") if (part := one.strip()))


class SettingsError(Exception):
    """A setting that cannot be used; the text names it by its environment name, never its value."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from an environment. An empty variable means the default. Raises SettingsError."""
    given = {
        name: environment[name.upper()] for name in Settings.model_fields if environment.get(name.upper())
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise SettingsError(f"{str(first['loc'][0]).upper()}: {first['msg']}") from None
