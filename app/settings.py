"""Configuration from the environment, read once at the entry points (main, worker, cli) and passed on as values."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, Field, HttpUrl, IPvAnyNetwork, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# An empty one would let everyone in, so that it is an error at the start.
Secret = Annotated[SecretStr, Field(min_length=1)]


class TelegramSettings(BaseModel):
    """Where the Telegram Bot API answers."""

    api_base: str = "https://api.telegram.org"


class TikTokSettings(BaseModel):
    """The platform's app at TikTok API for Business, and where its parts answer."""

    app_id: str | None = None
    app_secret: Secret | None = None
    signature_seconds: int = Field(300, ge=1)
    api_base: str = "https://business-api.tiktok.com/open_api/v1.3"
    auth_base: str = "https://www.tiktok.com"


class MetaSettings(BaseModel):
    """The platform's Meta app, which Messenger, Instagram through a Page and WhatsApp share."""

    app_id: str | None = None
    app_secret: Secret | None = None
    verify_token: Secret | None = None


class MessengerSettings(BaseModel):
    """Where Facebook's Graph API and its consent page answer; `config_id` is that of Login for Business."""

    config_id: str | None = None
    api_base: str = "https://graph.facebook.com/v25.0"
    auth_base: str = "https://www.facebook.com/v25.0"


class InstagramSettings(BaseModel):
    """The platform's Instagram app (Instagram Login), and where its parts answer."""

    app_id: str | None = None
    app_secret: Secret | None = None
    api_base: str = "https://graph.instagram.com/v25.0"
    auth_base: str = "https://www.instagram.com"
    token_base: str = Field("https://api.instagram.com")


class WhatsAppSettings(BaseModel):
    """Where the WhatsApp Cloud API answers; `config_id` is that of Embedded Signup."""

    config_id: str | None = None
    api_base: str = "https://graph.facebook.com/v25.0"


class GmailSettings(BaseModel):
    """The platform's client at Google, the Pub/Sub topic of mailbox changes and who pushes them, and where its parts
    answer."""

    client_id: str | None = None
    client_secret: Secret | None = None
    topic: str | None = None
    push_audience: str | None = None
    push_account: str | None = None
    api_base: str = "https://gmail.googleapis.com/gmail/v1"
    auth_base: str = "https://accounts.google.com"
    token_base: str = Field("https://oauth2.googleapis.com")
    certs_base: str = "https://www.googleapis.com"


class S3Settings(BaseModel):
    """An S3-compatible file store; the local folder is used without a bucket."""

    bucket: str | None = None
    endpoint_url: HttpUrl | None = None
    region: str = "us-east-1"
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None


class Settings(BaseSettings):
    """Every setting; the environment variable is the name in capitals with the prefix JOBX_."""

    model_config = SettingsConfigDict(env_prefix="JOBX_", env_nested_delimiter="__", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    data_dir: Path = Path(".jobx")
    public_url: HttpUrl | None = None
    database_url: SecretStr | None = None
    database_pool_size: int = Field(20, ge=1)
    qdrant_url: HttpUrl | None = None
    qdrant_api_key: SecretStr | None = None
    s3: S3Settings = S3Settings()
    master_key: SecretStr | None = None
    master_key_file: Path | None = None
    master_key_command: SecretStr | None = None
    master_key_previous: SecretStr | None = None
    master_key_previous_file: Path | None = None

    log_level: str = "INFO"
    log_format: Literal["json", "text"] | None = None
    metrics_token: SecretStr | None = None
    otlp_endpoint: HttpUrl | None = Field(None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT"))
    queue_age_limit_seconds: float = Field(60.0, gt=0)
    event_streams: int = Field(500, ge=1)
    drain_seconds: float = Field(5.0, ge=0)
    shutdown_seconds: float = Field(30.0, ge=0)

    models: Annotated[tuple[str, ...], NoDecode] = ()
    model_api_base: str | None = None
    model_timeout_seconds: float = Field(30.0, gt=0)
    model_price_cents: Annotated[tuple[float, float] | None, NoDecode] = None
    spend_limit_cents_per_day: int | None = Field(None, ge=0)
    anthropic_api_key: SecretStr | None = Field(None, validation_alias=AliasChoices("ANTHROPIC_API_KEY"))
    openai_api_key: SecretStr | None = Field(None, validation_alias=AliasChoices("OPENAI_API_KEY"))
    embedding_model: str | None = None
    embedding_model_previous: str | None = None
    hosted_embedding_model: str | None = None
    embedding_languages: Annotated[tuple[str, ...] | None, NoDecode] = None
    dense_weight: float = Field(0.5, ge=0, le=1)
    dense_weight_foreign: float = Field(0.2, ge=0, le=1)
    embedding_threads: int | None = Field(None, ge=1)
    rerank_model: str | None = None
    nli_model: str | None = None
    model_dir: Path | None = None

    burst_wait_seconds: float = Field(3.0, ge=0)
    burst_cap_seconds: float = Field(12.0, ge=0)
    answer_concurrency: int = Field(64, ge=1)
    ingestion_concurrency: int = Field(3, ge=1)
    max_document_bytes: int = Field(32 * 1024 * 1024, ge=1)
    parse_seconds: float = Field(60.0, gt=0)
    max_page_bytes: int = Field(5 * 1024 * 1024, ge=1)
    fetch_seconds: float = Field(20.0, gt=0)
    fetch_allow: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = ()

    erase_after_days: float = Field(30, ge=0, le=30)
    processors_file: Path | None = None

    telegram: TelegramSettings = TelegramSettings()
    tiktok: TikTokSettings = TikTokSettings()
    meta: MetaSettings = MetaSettings()
    messenger: MessengerSettings = MessengerSettings()
    instagram: InstagramSettings = InstagramSettings()
    whatsapp: WhatsAppSettings = WhatsAppSettings()
    gmail: GmailSettings = GmailSettings()

    @field_validator("models", "fetch_allow", "model_price_cents", "embedding_languages", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """A plain comma list is easier to write than JSON."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("data_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def languages_embedded(self) -> tuple[str, ...]:
        """The languages that the embedding model knows: those of the default one, and all of a hosted one."""
        if self.embedding_languages is not None:
            return self.embedding_languages
        return ("en",) if self.hosted_embedding_model is None else ("*",)

    @property
    def production(self) -> bool:
        """Whether more than the embedded default runs here."""
        return self.database_url is not None

    @property
    def base_url(self) -> str:
        """Where providers and people reach this service, without a trailing slash."""
        if self.public_url is not None:
            return str(self.public_url).rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"
