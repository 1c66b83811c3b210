"""The one typed configuration object, read once from the environment.

Every variable Sovereign reads stands here, with its default beside its name; ``.env.example`` is kept
equal by a test. Secrets may be given as ``NAME_FILE``, the path of a file that holds the value.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

STRICT, LENIENT = "strict", "lenient"  # what becomes of parameters that the API does not know
NO_INTERPRETER = "none"
#: the hosts, with what is below them, that the well-known keys may be sent to
KEY_HOSTS = {"OPENAI_API_KEY": frozenset({"api.openai.com"}), "ANTHROPIC_API_KEY": frozenset({"api.anthropic.com"})}
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
Network = IPv4Network | IPv6Network
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (what to listen on, and one of those it stands for)

#: Every environment variable that is read: its cast and its default.
VARIABLES: dict[str, tuple[Any, Any]] = {
    "SOVEREIGN_DATA_DIR": (str, ""),
    "SOVEREIGN_SECRET_KEY": (str, ""),
    "SOVEREIGN_HOST": (str, "127.0.0.1"),
    "SOVEREIGN_PORT": (int, 8000),
    "SOVEREIGN_PUBLIC_URL": (str, ""),
    "SOVEREIGN_TRUSTED_PROXIES": (list, []),
    "SOVEREIGN_API_KEY": (str, ""),
    "DATABASE_URL": (str, ""),
    "REDIS_URL": (str, ""),
    "MODEL_NAME": (str, ""),
    "SOVEREIGN_ENGINE_URL": (str, ""),
    "SOVEREIGN_ENGINE_API_KEY": (str, ""),
    "SOVEREIGN_ENGINE_PYTHON": (str, ""),
    "SOVEREIGN_EMBEDDER": (str, ""),
    "OLLAMA_HOST": (str, ""),
    "OPENAI_API_KEY": (str, ""),
    "ANTHROPIC_API_KEY": (str, ""),
    "SOVEREIGN_KEY_VARIABLES": (list, []),
    "CORS_ORIGINS": (list, []),
    "LOG_LEVEL": (str, "INFO"),
    "SOVEREIGN_REQUIRE_BETA_HEADER": (bool, True),
    "SOVEREIGN_UNKNOWN_PARAMETERS": (str, STRICT),
    "SOVEREIGN_RUN_EXPIRES_SECONDS": (int, 600),
    "SOVEREIGN_WORKER_CONCURRENCY": (int, 64),
    "SOVEREIGN_FILES_URL": (str, ""),
    "SOVEREIGN_MAXIMUM_FILE_MB": (int, 512),
    "SOVEREIGN_MAXIMUM_STORED_GB": (int, 0),
    "SOVEREIGN_NO_DOWNLOADS_OF": (list, []),
    "SOVEREIGN_INTERPRETER": (str, ""),
    "SOVEREIGN_INTERPRETER_SESSIONS": (int, 8),
    "SOVEREIGN_INTERPRETER_IDLE_SECONDS": (int, 1200),
    "SOVEREIGN_INTERPRETER_MEMORY_MB": (int, 1024),
    "SOVEREIGN_INTERPRETER_DISK_MB": (int, 256),
    "SOVEREIGN_INTERPRETER_SECONDS_PER_DAY": (int, 0),
    "EMAIL_URL": (str, ""),
    "SOVEREIGN_EMAIL_FROM": (str, ""),
    "SOVEREIGN_ALERTS_INNER_NETWORK": (bool, False),
    "OIDC_ISSUER": (str, ""),
    "OIDC_CLIENT_ID": (str, ""),
    "OIDC_CLIENT_SECRET": (str, ""),
    "OIDC_NAME": (str, "single sign-on"),
    "OIDC_EMAIL_DOMAINS": (list, []),
    "OIDC_PROJECT": (str, ""),
    "OIDC_ROLE": (str, "viewer"),
    "DEBUG": (bool, False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOn:
    """Where people log in elsewhere (OpenID Connect), and who may come from there without an invitation."""

    issuer: str
    client_id: str
    client_secret: str
    name: str
    email_domains: frozenset[str]  # lower case; empty: only who was invited
    project: str  # the id of the one they come into; "": the oldest
    role: str

    def __bool__(self) -> bool:
        return bool(self.issuer)

    @property
    def provider_id(self) -> str:
        """What its people's accounts are kept under: those of another issuer are nobody's here."""
        return f"oidc-{hashlib.sha256(self.issuer.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What the operator decided. Times are seconds, paths absolute."""

    base_dir: Path
    data_dir: Path
    secret_key: str
    host: str
    port: int
    public_url: str
    trusted_proxies: tuple[Network, ...]
    api_key: str
    database_url: str
    redis_url: str
    model_name: str
    engine_url: str
    engine_api_key: str
    engine_python: str
    embedder: str
    ollama_host: str
    openai_api_key: str
    anthropic_api_key: str
    key_hosts: Mapping[str, frozenset[str]]
    cors_origins: tuple[str, ...]
    log_level: str
    require_beta_header: bool
    unknown_parameters: str
    run_expires_seconds: int
    worker_concurrency: int
    files_url: str
    maximum_file_bytes: int
    maximum_stored_bytes: int
    no_downloads_of: frozenset[str]
    interpreter: str
    interpreter_sessions: int
    interpreter_idle_seconds: int
    interpreter_memory_bytes: int
    interpreter_disk_bytes: int
    interpreter_seconds_per_day: int
    email_url: str
    email_from: str
    alerts_inner_network: bool
    sign_on: SignOn
    debug: bool

    @property
    def base_url(self) -> str:
        """Where people reach the product, without a trailing slash."""
        host = EVERY_ADDRESS.get(self.host, self.host)
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def is_https(self) -> bool:
        return urlsplit(self.base_url).scheme == "https"

    @property
    def is_proxied(self) -> bool:
        """Whether people come through a server that is not this one, by what SOVEREIGN_PUBLIC_URL says, or
        SOVEREIGN_TRUSTED_PROXIES.
        """
        return bool(self.trusted_proxies or (self.public_url and self.public_host not in LOOPBACK_HOSTS))

    @property
    def proxies(self) -> tuple[Network, ...]:
        """Whose word is taken for who asks, and how: what the operator named, else a proxy on this host if there is
        one. This server speaks no https, so that one stands before it where its address is of that.
        """
        return self.trusted_proxies or (LOOPBACK if self.is_proxied or self.is_https else ())

    @property
    def public_host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def host_names(self) -> frozenset[str]:
        """The names a request may be for; an IPv6 address with brackets, as in ``Host``, and without."""
        names = {*LOOPBACK_HOSTS, self.public_host, self.host} - {"", *EVERY_ADDRESS}
        return frozenset(names | {f"[{name}]" for name in names if ":" in name})

    @property
    def engine_dir(self) -> Path:
        """The engine's own environment, made by ``manage.py install_engine``."""
        return self.data_dir / "engine"

    @property
    def interpreter_dir(self) -> Path | None:
        """The environment of code that assistants run; ``None`` where none is to run."""
        if self.interpreter == NO_INTERPRETER:
            return None
        return Path(self.interpreter).expanduser() if self.interpreter else self.data_dir / "interpreter"

    def key_goes_to(self, variable: str, url: str) -> bool:
        """Whether the environment says that a key in this variable may be sent to this address.

        People who may describe providers do not decide that: they could read every key at a server of their own.
        """
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if variable == "SOVEREIGN_ENGINE_API_KEY":
            return host == (urlsplit(self.engine_url).hostname or "").rstrip(".") != ""
        if host in self.key_hosts.get(variable, ()):
            return True
        own = KEY_HOSTS.get(variable, ())
        return parts.scheme == "https" and any(host == name or host.endswith(f".{name}") for name in own)

    def provider_key(self, variable: str, url: str) -> str:
        """What the environment variable of a provider's key holds; ``""`` where this process does not have it.

        :param url: where it will be sent; ``""`` also where it does not belong there.
        """
        if not self.key_goes_to(variable, url):
            return ""
        known = {
            "SOVEREIGN_ENGINE_API_KEY": self.engine_api_key,
            "OPENAI_API_KEY": self.openai_api_key,
            "ANTHROPIC_API_KEY": self.anthropic_api_key,
        }
        if variable in known:
            return known[variable]
        try:
            return _Values()[variable]
        except (KeyError, OSError):
            return ""


class _Values(FileAwareMapping):
    """The newline that editors put at the end of a file is no part of the secret in it."""

    def __getitem__(self, key: str) -> str:
        return str(super().__getitem__(key)).strip()


def load(base_dir: Path, environment: dict[str, str] | None = None) -> Configuration:
    """Read the configuration.

    :param base_dir: the repository's root; ``.env`` in it fills variables that are not set.
    :param environment: instead of the process's own environment and ``.env`` (tests).
    :raises django.core.exceptions.ImproperlyConfigured: a value that cannot be read as its type.
    """
    env = environ.FileAwareEnv(**VARIABLES)
    if environment is None:
        environ.Env.read_env(base_dir / ".env")
    env.ENVIRON = _Values(environment)
    value = partial(_value, env)
    data_dir = Path(value("SOVEREIGN_DATA_DIR") or base_dir / "var").expanduser().resolve()
    return Configuration(
        base_dir=base_dir,
        data_dir=data_dir,
        secret_key=value("SOVEREIGN_SECRET_KEY") or generated_secret(data_dir),
        host=value("SOVEREIGN_HOST"),
        port=value("SOVEREIGN_PORT"),
        public_url=value("SOVEREIGN_PUBLIC_URL").rstrip("/"),
        trusted_proxies=_networks(value("SOVEREIGN_TRUSTED_PROXIES")),
        api_key=value("SOVEREIGN_API_KEY"),
        database_url=value("DATABASE_URL") or f"sqlite:///{data_dir / 'sovereign.sqlite3'}",
        redis_url=_redis_url(value("REDIS_URL")),
        model_name=value("MODEL_NAME"),
        engine_url=value("SOVEREIGN_ENGINE_URL").rstrip("/"),
        engine_api_key=value("SOVEREIGN_ENGINE_API_KEY"),
        engine_python=value("SOVEREIGN_ENGINE_PYTHON"),
        embedder=value("SOVEREIGN_EMBEDDER"),
        ollama_host=value("OLLAMA_HOST").rstrip("/"),
        openai_api_key=value("OPENAI_API_KEY"),
        anthropic_api_key=value("ANTHROPIC_API_KEY"),
        key_hosts=_key_hosts(value("SOVEREIGN_KEY_VARIABLES")),
        cors_origins=tuple(value("CORS_ORIGINS")),
        log_level=value("LOG_LEVEL").upper(),
        require_beta_header=value("SOVEREIGN_REQUIRE_BETA_HEADER"),
        unknown_parameters=value("SOVEREIGN_UNKNOWN_PARAMETERS").lower(),
        run_expires_seconds=value("SOVEREIGN_RUN_EXPIRES_SECONDS"),
        worker_concurrency=value("SOVEREIGN_WORKER_CONCURRENCY"),
        files_url=value("SOVEREIGN_FILES_URL"),
        maximum_file_bytes=value("SOVEREIGN_MAXIMUM_FILE_MB") * 1024**2,
        maximum_stored_bytes=value("SOVEREIGN_MAXIMUM_STORED_GB") * 1024**3,
        no_downloads_of=frozenset(filter(None, map(str.strip, value("SOVEREIGN_NO_DOWNLOADS_OF")))),
        interpreter=value("SOVEREIGN_INTERPRETER"),
        interpreter_sessions=value("SOVEREIGN_INTERPRETER_SESSIONS"),
        interpreter_idle_seconds=value("SOVEREIGN_INTERPRETER_IDLE_SECONDS"),
        interpreter_memory_bytes=value("SOVEREIGN_INTERPRETER_MEMORY_MB") * 1024**2,
        interpreter_disk_bytes=value("SOVEREIGN_INTERPRETER_DISK_MB") * 1024**2,
        interpreter_seconds_per_day=value("SOVEREIGN_INTERPRETER_SECONDS_PER_DAY"),
        email_url=value("EMAIL_URL"),
        email_from=value("SOVEREIGN_EMAIL_FROM"),
        alerts_inner_network=value("SOVEREIGN_ALERTS_INNER_NETWORK"),
        sign_on=SignOn(
            issuer=value("OIDC_ISSUER").rstrip("/"),
            client_id=value("OIDC_CLIENT_ID"),
            client_secret=value("OIDC_CLIENT_SECRET"),
            name=value("OIDC_NAME"),
            email_domains=frozenset(filter(None, (name.strip().lower() for name in value("OIDC_EMAIL_DOMAINS")))),
            project=value("OIDC_PROJECT"),
            role=value("OIDC_ROLE").lower(),
        ),
        debug=value("DEBUG"),
    )


def _key_hosts(pairs: list[str]) -> dict[str, frozenset[str]]:
    """
    >>> _key_hosts(["MISTRAL_API_KEY=api.mistral.ai"])
    {'MISTRAL_API_KEY': frozenset({'api.mistral.ai'})}

    :raises ImproperlyConfigured: one sentence, where a pair is none.
    """
    hosts: dict[str, frozenset[str]] = {}
    for pair in filter(None, map(str.strip, pairs)):
        variable, _, host = (part.strip() for part in pair.partition("="))
        if not variable or not host or host != urlsplit(f"//{host}").hostname:
            raise ImproperlyConfigured(
                f"SOVEREIGN_KEY_VARIABLES has '{pair}', which is not like NAME_API_KEY=host.name."
            )
        hosts[variable] = hosts.get(variable, frozenset()) | {host}
    return hosts


def _redis_url(url: str) -> str:
    """:raises ImproperlyConfigured: one sentence, without the address: it may have a password in it."""
    if url and url.partition("://")[0].lower() not in REDIS_SCHEMES:
        raise ImproperlyConfigured("REDIS_URL does not begin with redis://, rediss:// or unix://.")
    return url


def _networks(names: list[str]) -> tuple[Network, ...]:
    """
    >>> _networks(["10.0.0.0/8", "::1", "::ffff:10.0.0.5"])
    (IPv4Network('10.0.0.0/8'), IPv6Network('::1/128'), IPv4Network('10.0.0.5/32'))

    :raises ImproperlyConfigured: one sentence, where a name is no network, or one of everybody.
    """
    return tuple(_network(name) for name in filter(None, map(str.strip, names)))


def _network(name: str) -> Network:
    try:
        network = ip_network(name)
    except ValueError:
        raise ImproperlyConfigured(
            f"SOVEREIGN_TRUSTED_PROXIES has '{name}', which is no address or network like 10.0.0.5 or 10.0.0.0/8."
        ) from None
    if isinstance(network, IPv6Network) and (mapped := network.network_address.ipv4_mapped) and network.prefixlen >= 96:
        network = IPv4Network((mapped, network.prefixlen - 96))  # addresses are compared as what they stand for
    if network.prefixlen == 0:
        raise ImproperlyConfigured(
            f"SOVEREIGN_TRUSTED_PROXIES has '{name}', which is everybody. Name the addresses of your proxies."
        )
    return network


def _value(env: environ.Env, name: str) -> Any:
    """:raises ImproperlyConfigured: one sentence, where the text is no value of the variable's type."""
    try:
        return env(name)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is '{env.ENVIRON[name]}', which is not a whole number.") from None


def generated_secret(data_dir: Path) -> str:
    """The secret key kept under the data directory; made on first use, readable by its owner only.

    A hard link decides between two processes that start at once: both read the whole key of the first.
    """
    path = data_dir / "secret_key"
    try:
        if not path.exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            _make_secret(path)
        return path.read_text().strip()
    except OSError:
        return ""  # sovereign.E001 says it with a sentence


def _make_secret(path: Path) -> None:
    draft = path.with_name(f".secret_key.{secrets.token_hex(8)}")
    try:
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(secrets.token_urlsafe(64))
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
