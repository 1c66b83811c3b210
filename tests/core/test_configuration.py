"""The configuration: what is read, what ``.env.example`` says, and a refusal for every rule."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import threading
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from sovereign.core import checks
from sovereign.core.configuration import VARIABLES, SignOn, generated_secret, load
from sovereign.settings import database

ROOT = Path(django_settings.BASE_DIR)
ASSIGNMENT = re.compile(r"^#?\s?([A-Z][A-Z0-9_]+)=(.*)$", re.MULTILINE)


def test_the_example_has_every_variable_with_its_default(tmp_path: Path) -> None:
    given = dict(ASSIGNMENT.findall((ROOT / ".env.example").read_text()))
    assert set(given) == set(VARIABLES)
    assert load(tmp_path, given) == load(tmp_path, {})
    for name, (cast, default) in VARIABLES.items():
        assert given[name].lower() == str(default or (default if cast in (bool, int) else "")).lower(), name


def test_the_defaults(tmp_path: Path) -> None:
    configuration = load(tmp_path, {})
    assert configuration.data_dir == tmp_path / "var"
    assert configuration.database_url == f"sqlite:///{tmp_path}/var/sovereign.sqlite3"
    assert (configuration.base_url, configuration.is_https) == ("http://127.0.0.1:8000", False)
    assert (configuration.cors_origins, configuration.debug, configuration.run_expires_seconds) == ((), False, 600)
    assert configuration.engine_dir == tmp_path / "var" / "engine"


def test_everything_can_be_set(tmp_path: Path) -> None:
    configuration = load(
        tmp_path,
        {
            "SOVEREIGN_DATA_DIR": str(tmp_path / "elsewhere"),
            "SOVEREIGN_PUBLIC_URL": "https://ai.example.org/",
            "CORS_ORIGINS": "https://a.example,https://b.example",
            "LOG_LEVEL": "debug",
            "SOVEREIGN_ENGINE_URL": "http://gpu:8000/v1/",
            "SOVEREIGN_REQUIRE_BETA_HEADER": "false",
            "SOVEREIGN_UNKNOWN_PARAMETERS": "Lenient",
            "DATABASE_URL": "postgres://u@h/db",
            "SOVEREIGN_KEY_VARIABLES": "A_API_KEY=a.example, B_API_KEY=b.example,A_API_KEY=10.0.0.5",
        },
    )
    assert (configuration.base_url, configuration.is_https) == ("https://ai.example.org", True)
    assert configuration.public_host == "ai.example.org"
    assert configuration.cors_origins == ("https://a.example", "https://b.example")
    assert (configuration.log_level, configuration.require_beta_header) == ("DEBUG", False)
    assert configuration.engine_url == "http://gpu:8000/v1"
    assert configuration.unknown_parameters == "lenient"
    assert configuration.database_url == "postgres://u@h/db"
    assert configuration.key_hosts == {"A_API_KEY": {"a.example", "10.0.0.5"}, "B_API_KEY": {"b.example"}}


@pytest.mark.parametrize("pairs", ["A_API_KEY", "A_API_KEY=", "=a.example", "A_API_KEY=https://a.example", "A=b:1"])
def test_a_variable_of_a_key_without_its_host_is_refused(tmp_path: Path, pairs: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="not like NAME_API_KEY="):
        load(tmp_path, {"SOVEREIGN_KEY_VARIABLES": pairs})


def test_a_proxy_is_believed_where_it_is_named_or_on_this_host(tmp_path: Path) -> None:
    def proxies(**environment: str) -> set[str]:
        return {str(network) for network in load(tmp_path, environment).proxies}

    elsewhere = "https://ai.example.org"
    assert proxies() == set(), "there is none"
    assert proxies(SOVEREIGN_PUBLIC_URL=elsewhere) == {"127.0.0.0/8", "::1/128"}
    for url in ("https://localhost", "https://127.0.0.1:8443"):
        assert proxies(SOVEREIGN_PUBLIC_URL=url) == {"127.0.0.0/8", "::1/128"}, "who speaks https there is a proxy"
    assert proxies(SOVEREIGN_PUBLIC_URL="http://localhost:8000") == set()
    mapped = proxies(SOVEREIGN_TRUSTED_PROXIES="::ffff:10.0.0.5, ::ffff:172.18.0.0/112")
    assert mapped == {"10.0.0.5/32", "172.18.0.0/16"}
    named = "10.0.0.5, 172.18.0.0/16,fd00::/8"
    for url in ("", elsewhere):
        found = proxies(SOVEREIGN_PUBLIC_URL=url, SOVEREIGN_TRUSTED_PROXIES=named)
        assert found == {"10.0.0.5/32", "172.18.0.0/16", "fd00::/8"}, "no other than those"
    assert load(tmp_path, {"SOVEREIGN_TRUSTED_PROXIES": named}).is_proxied


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "localhost", "http://localhost:6379", "://:secret@localhost"])
def test_an_address_that_is_not_redis_is_refused_in_one_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL does not begin with redis://, rediss:// or unix://\.$"):
        load(tmp_path, {"REDIS_URL": url})


@pytest.mark.parametrize(
    "url", ["", "redis://127.0.0.1:6379/1", "rediss://:secret@cache:6379", "unix:///run/redis.sock"]
)
def test_ways_to_redis(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, {"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("proxy.example.org", "has 'proxy.example.org', which is no address or network"),
        ("10.0.0.5, 10.0.0.5/8", "has '10.0.0.5/8', which is no address or network"),
        ("*", "which is no address or network"),
        ("0.0.0.0/0", "which is everybody"),
        ("::/0", "which is everybody"),
        ("::ffff:0.0.0.0/96", "which is everybody"),
    ],
)
def test_what_names_no_proxy_is_refused_in_one_sentence(tmp_path: Path, named: str, sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(sentence)):
        load(tmp_path, {"SOVEREIGN_TRUSTED_PROXIES": named})


@pytest.mark.parametrize(
    ("host", "url", "name"),
    [
        ("::1", "http://[::1]:8000", "[::1]"),
        ("::", "http://[::1]:8000", "[::1]"),
        ("0.0.0.0", "http://127.0.0.1:8000", "127.0.0.1"),
        ("fd00::5", "http://[fd00::5]:8000", "[fd00::5]"),
    ],
)
def test_an_address_is_written_as_urls_and_requests_write_it(tmp_path: Path, host: str, url: str, name: str) -> None:
    configuration = load(tmp_path, {"SOVEREIGN_HOST": host})
    assert configuration.base_url == url
    assert name in configuration.host_names
    assert not configuration.host_names & {"::", "0.0.0.0", "[::]", ""}


def test_the_ipv6_loopback_is_allowed_as_django_reads_it(client: Client) -> None:
    assert client.get("/v1/nothing", headers={"Host": "[::1]:8000"}).status_code == 404


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k" * 60 + "\n")
    configuration = load(tmp_path, {"SOVEREIGN_SECRET_KEY_FILE": str(tmp_path / "key")})
    assert configuration.secret_key == "k" * 60


@pytest.mark.parametrize("name", ["SOVEREIGN_PORT", "SOVEREIGN_RUN_EXPIRES_SECONDS"])
def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises((ImproperlyConfigured, ValueError)):
        load(tmp_path, {name: "many"})


def test_a_generated_secret_is_kept_and_is_its_owners(tmp_path: Path) -> None:
    first = generated_secret(tmp_path / "var")
    assert len(first) >= checks.MINIMUM_SECRET_LENGTH
    assert generated_secret(tmp_path / "var") == first
    assert stat.S_IMODE((tmp_path / "var" / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret_key"]


def test_processes_that_start_at_once_get_one_secret(tmp_path: Path) -> None:
    made: list[str] = []
    makers = [threading.Thread(target=lambda: made.append(generated_secret(tmp_path))) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(set(made)) == 1


def test_a_folder_that_cannot_be_written_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert generated_secret(tmp_path / "file") == ""


def test_a_secret_that_is_there_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = generated_secret(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("touch", "write_text", "mkdir"):
        monkeypatch.setattr(Path, name, refuse)
    assert generated_secret(tmp_path) == first


def test_a_full_disk_keeps_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert generated_secret(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


SIGN_ON = SignOn(
    issuer="https://id.example.org", client_id="sovereign", client_secret="s", name="House",
    email_domains=frozenset({"example.org"}), project="", role="viewer",
)  # fmt: skip
REFUSALS: list[tuple[Any, dict[str, Any], str]] = [
    (checks.check_secret_key, {"secret_key": ""}, "sovereign.E001"),
    (checks.check_secret_key, {"secret_key": "k" * 49}, "sovereign.E001"),
    (checks.check_secret_key, {"secret_key": "django-insecure-" + "k" * 50}, "sovereign.E001"),
    (checks.check_cors_origins, {"cors_origins": ("https://a.example", "*")}, "sovereign.E003"),
    (checks.check_public_url, {"public_url": "ftp://example.org"}, "sovereign.E004"),
    (checks.check_public_url, {"public_url": "https://"}, "sovereign.E004"),
    (checks.check_public_url, {"public_url": "http://ai.example.org"}, "sovereign.E005"),
    (checks.check_public_url, {"host": "10.0.0.5"}, "sovereign.E005"),
    (checks.check_first_api_key, {"api_key": "k" * 31}, "sovereign.E006"),
    (checks.check_unknown_parameters, {"unknown_parameters": "sometimes"}, "sovereign.E008"),
    (checks.check_numbers, {"run_expires_seconds": 0}, "sovereign.E007"),
    (checks.check_numbers, {"worker_concurrency": -1}, "sovereign.E007"),
    (checks.check_numbers, {"maximum_stored_bytes": -1}, "sovereign.E007"),
    (checks.check_sign_on, {"sign_on": replace(SIGN_ON, issuer="http://id.example.org")}, "sovereign.E013"),
    (checks.check_sign_on, {"sign_on": replace(SIGN_ON, issuer="id.example.org")}, "sovereign.E013"),
    (checks.check_sign_on, {"sign_on": replace(SIGN_ON, client_secret="")}, "sovereign.E014"),
    (checks.check_sign_on, {"sign_on": replace(SIGN_ON, role="owner")}, "sovereign.E015"),
    (checks.check_sign_on, {"sign_on": replace(SIGN_ON, email_domains=frozenset({"@a.org"}))}, "sovereign.E016"),
]


@pytest.mark.parametrize(("check", "changes", "identifier"), REFUSALS)
def test_every_rule_refuses(
    settings: Any, tmp_path: Path, check: Any, changes: dict[str, Any], identifier: str
) -> None:
    sound = replace(load(tmp_path, {}), secret_key="k" * 60)
    settings.SOVEREIGN = sound
    assert list(check()) == []
    settings.SOVEREIGN = replace(sound, **changes)
    assert [message.id for message in check()] == [identifier]


def test_every_rule_has_a_refusing_test_and_an_id_of_its_own() -> None:
    source = Path(checks.__file__).read_text()
    assert set(re.findall(r'id="(sovereign\.E\d+)"', source)) == {identifier for *_, identifier in REFUSALS}


def test_a_star_is_for_developers_only(settings: Any, tmp_path: Path) -> None:
    settings.SOVEREIGN = replace(load(tmp_path, {}), cors_origins=("*",), debug=True)
    assert list(checks.check_cors_origins()) == []


@pytest.mark.parametrize(
    ("url", "scheme"), [("mysql://u:secret@h/db", "mysql"), ("nonsense", ""), ("POSTGRES//u:secret@h", "")]
)
def test_another_database_is_refused_in_one_sentence(url: str, scheme: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "sovereign.settings"}
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    sentence = f"Error: DATABASE_URL has the scheme '{scheme}'. Supported are sqlite and postgres.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


def test_the_options_of_a_postgres_url_are_kept() -> None:
    url = "postgres://u@h/db?sslmode=verify-full&options=-c%20search_path%3Dx&connect_timeout=3"
    options = database(url)["OPTIONS"]
    assert (options["sslmode"], options["connect_timeout"]) == ("verify-full", 3)
    assert options["options"] == "-c idle_in_transaction_session_timeout=5s -c search_path=x"
    assert options["pool"]["max_size"] == 20
    assert database("postgres://u@h/db")["OPTIONS"]["options"] == "-c idle_in_transaction_session_timeout=5s"


# ------------------------------------------------------------------------------------------------ the house

ROOMS = ("sovereign", "assistants", "threads", "runs", "inference")


def contracts() -> list[dict[str, Any]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def listed(layers: list[str]) -> set[str]:
    return {name.strip().strip("()") for layer in layers for name in layer.replace("|", ":").split(":")}


def packages(folder: Path, *, modules: bool) -> set[str]:
    found = {path.parent.name for path in folder.glob("*/__init__.py")}
    return found | ({path.stem for path in folder.glob("*.py")} - {"__init__"} if modules else set())


def test_every_room_is_listed_in_the_contract_of_layers() -> None:
    tracked = {name for name in packages(ROOT, modules=False) if name not in ("tests", "var")}
    assert tracked == set(ROOMS)
    assert set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]) == tracked
    rooms = next(contract for contract in contracts() if "containers" not in contract and contract["type"] == "layers")
    assert {name.split(".")[0] for name in listed(rooms["layers"])} == tracked
    parts = {f"sovereign.{name}" for name in packages(ROOT / "sovereign", modules=True)}
    assert parts - listed(rooms["layers"]) <= {"sovereign.settings", "sovereign.apps"}  # they name rooms, as text only


@pytest.mark.parametrize("package", [*ROOMS, "sovereign.accounts", "sovereign.core"])
def test_every_module_of_a_room_is_listed_in_its_own_contract(package: str) -> None:
    (contract,) = [contract for contract in contracts() if contract.get("containers") == [package]]
    assert contract["exhaustive"] is True
    ignored = set(contract.get("exhaustive_ignores", ()))
    assert ignored <= {"migrations"}
    found = packages(ROOT / package.replace(".", "/"), modules=True) - ignored
    assert found <= listed(contract["layers"])


def test_a_number_that_is_none_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"SOVEREIGN_PORT is 'many', which is not a whole number\."):
        load(tmp_path, {"SOVEREIGN_DATA_DIR": str(tmp_path), "SOVEREIGN_PORT": "many"})
