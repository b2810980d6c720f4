"""Settings: read from the environment once, passed down from there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from scheduler.errors import InvalidSetting

GIB = 2**30
S3_ROOT = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/?#\\\x00-\x1f\x7f]+)*/?")
# As the AWS tools have them, which is how an operator names a storage and the access to it.
STORAGE_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CA_BUNDLE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
)


class Settings(BaseSettings):
    """Every setting of the service; the variable is `FRUGAL_` and the name in capitals.

    The README's table of settings is compared with this class by a test.
    """

    model_config = SettingsConfigDict(
        env_prefix="FRUGAL_",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        allow_inf_nan=False,
    )

    data_dir: Path = Field(
        Path("frugal-data"), description="folder for everything the service keeps"
    )
    database_url: str = Field(
        "",
        repr=False,  # it may hold a password
        description="SQLAlchemy URL, sqlite:/// or postgresql://; empty: SQLite in the data folder",
    )
    artifacts_url: str = Field(
        "", description="folder for data and models; empty: in the data folder"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Host names answered to, by commas, beside localhost and the listening address",
    )
    http_threads: int = Field(16, ge=2, description="requests served at once")
    requests_per_minute: int = Field(
        6000, gt=0, description="most requests of one token or address"
    )
    max_upload_bytes: int = Field(
        GIB,
        gt=0,
        description="largest upload; of those in pieces a project's unfinished ones together",
    )
    max_uploads: int = Field(16, gt=0, description="most unfinished uploads in pieces of a project")
    upload_seconds: float = Field(
        24 * 3600.0,
        gt=0,
        le=366 * 24 * 3600.0,
        description="an unfinished upload is forgotten so long after its last piece came",
    )
    max_body_bytes: int = Field(
        32 * 2**20, gt=0, description="largest request body of anything else"
    )
    max_decoded_bytes: int = Field(
        16 * GIB, gt=0, description="largest data set after decompression"
    )
    max_columns: int = Field(5000, gt=0, description="most columns of a table")
    max_cell_bytes: int = Field(65536, gt=0, description="largest cell of a text table")
    max_queued_jobs: int = Field(10_000, gt=0, description="most jobs of a project that may wait")
    max_predict_rows: int = Field(100_000, gt=0, description="most rows of one prediction request")
    child_memory_bytes: int = Field(
        4 * GIB, gt=0, description="memory a child process that reads data may map"
    )
    job_processes: int = Field(1, ge=1, description="jobs that run at the same time")
    job_nice: int = Field(10, ge=0, le=19, description="niceness of job processes")
    tick_seconds: float = Field(
        15.0, gt=0, description="how often the scheduler looks for due work"
    )
    lease_seconds: float = Field(
        30.0, gt=0, description="a worker silent for so long has lost its job"
    )
    idle_seconds: float = Field(
        600.0, gt=0, description="warm processes are released after so long without work"
    )
    zone: str = Field(
        "WORLD", description="zone of the grid, ISO 3166 alpha-2 or alpha-3, or WORLD"
    )
    intensity: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="sources of carbon intensity by commas, asked in this order: `eco2mix`, "
        "`energy-charts`, `neso`, `electricity-maps`, `watttime`, `entsoe`, `replay:PATH`"
        "; empty: the packaged typical profile and no network",
    )
    electricity_maps_key: str = Field("", repr=False, description="token of Electricity Maps")
    watttime_user: str = Field("", repr=False, description="user name of WattTime")
    watttime_password: str = Field("", repr=False, description="password of WattTime")
    entsoe_key: str = Field("", repr=False, description="security token of ENTSO-E")
    watts_per_core: float | None = Field(
        None, gt=0, description="power of one busy core; empty: by processor model, else 4"
    )
    watts_per_gb: float = Field(0.375, ge=0, description="power of 1 GB of memory in use")
    knowledge: Literal["grow", "shipped", "off"] = Field(
        "grow",
        description="what searches learn from: `grow` also from this service's finished jobs "
        "(aggregates in the data folder), `shipped` only from what came with it, `off` nothing",
    )
    webhook_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="hosts that webhooks may call, by commas, with :port where it is not the "
        "usual one; a private address only where it stands here itself; empty: none",
    )
    webhook_secret: str = Field(
        "", repr=False, description="signs webhooks (HMAC-SHA256); empty: they are not signed"
    )
    feed_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (),
        description="folders that schedules may read new rows from, and whose files may be "
        "registered as tables, by commas; empty: none",
    )
    s3_roots: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="parts of object storage whose files may be registered as tables, by commas, "
        "as s3://bucket/prefix; endpoint, region and keys are read from the standard AWS_ "
        "variables; empty: none",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least severe lines to log"
    )

    @field_validator(
        "allowed_hosts", "intensity", "webhook_hosts", "feed_roots", "s3_roots", mode="before"
    )
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(one.strip() for one in value.split(",") if one.strip())

    @field_validator("s3_roots")
    @classmethod
    def _checked_roots(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not S3_ROOT.fullmatch(one) or "/../" in f"{one}/" or "/./" in f"{one}/":
                raise ValueError("s3://bucket/prefix is needed")
        return tuple(one.rstrip("/") for one in value)

    @classmethod
    def load(cls, **given: Any) -> Settings:
        """The settings of the environment, with those that are given in their place.

        Raises InvalidSetting: one line that names every bad variable, without its value, which
        may be a secret.

        >>> Settings.load(port=8081).port
        8081
        """
        try:
            return cls(**given)
        except ValidationError as error:
            reasons = [
                f"FRUGAL_{str(item['loc'][0]).upper()}: {item['msg']}"
                for item in error.errors(
                    include_url=False, include_context=False, include_input=False
                )
            ]
            raise InvalidSetting("; ".join(reasons)) from None

    @property
    def watts(self) -> dict[str, float | None]:
        """What the meter of a child or a job is made with: see `scheduler.reading.meter_of`."""
        return {"per_core": self.watts_per_core, "per_gb": self.watts_per_gb}

    @property
    def reading_limits(self) -> dict[str, int]:
        """How much is read of one table, as `automl.data.options.ReadingLimits` takes it."""
        return {
            "max_decoded_bytes": self.max_decoded_bytes,
            "max_columns": self.max_columns,
            "max_cell_bytes": self.max_cell_bytes,
        }

    @property
    def storage_variables(self) -> tuple[str, ...]:
        """Names of the variables that processes which read object storage are given."""
        return STORAGE_VARIABLES if self.s3_roots else ()

    @property
    def resolved_database_url(self) -> str:
        """The database URL, SQLite in the data folder where none was given."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'frugal.db'}"

    @property
    def resolved_artifacts_url(self) -> str:
        """The folder of the artifacts, in the data folder where none was given."""
        return self.artifacts_url or str(self.data_dir.absolute() / "artifacts")

    @property
    def intensity_dir(self) -> Path:
        """The folder where answers of intensity sources are kept, in the data folder."""
        return self.data_dir.absolute() / "intensity"
