"""Settings that can't be used are refused in one line that names them and never shows their value."""

from pathlib import Path

import pytest

from api.settings import ApiSettings
from cli.platform import PlatformSettings
from monitor.settings import MonitorSettings
from service.settings import EndpointSettings, SettingError, Settings, WorkerSettings, load
from workers.database import database_url
from workers.notification.gateway import MailSettings
from workers.simulation import SimulatorSettings

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (ApiSettings, "ORDERFLOW_API_PORT", SECRET),
        (ApiSettings, "ORDERFLOW_API_PORT", "70000"),
        (ApiSettings, "ORDERFLOW_API_KEYS", SECRET),
        (ApiSettings, "ORDERFLOW_API_KEYS", f"shop:{'0' * 64},shop:{'1' * 64}"),
        (ApiSettings, "ORDERFLOW_MONITOR_URL", SECRET),
        (ApiSettings, "ORDERFLOW_STEP_TIMEOUT_SECONDS", "0"),
        (WorkerSettings, "ORDERFLOW_HEALTH_PORT", "-1"),
        (WorkerSettings, "ORDERFLOW_MAX_CONCURRENT_ACTIVITIES", SECRET),
        (WorkerSettings, "ORDERFLOW_GRACEFUL_SHUTDOWN_SECONDS", SECRET),
        (PlatformSettings, "ORDERFLOW_TEMPORAL_PORT", SECRET),
        (MailSettings, "ORDERFLOW_SMTP_SECURITY", SECRET),
        (MailSettings, "ORDERFLOW_SMTP_PORT", "0"),
        (SimulatorSettings, "ORDERFLOW_SIMULATOR_SLOW_SECONDS", SECRET),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, settings: type[Settings], name: str, value: str
) -> None:
    """A wrong value is refused in one line that names the setting and leaves the value out."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as refused:
        load(settings)
    told = str(refused.value)
    assert told.startswith(f"{name}: ")
    assert "\n" not in told
    assert SECRET not in told
    assert "0" * 64 not in told


def test_every_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several wrong settings are all told at once."""
    monkeypatch.setenv("ORDERFLOW_API_PORT", SECRET)
    monkeypatch.setenv("ORDERFLOW_STEP_TIMEOUT_SECONDS", SECRET)
    with pytest.raises(SettingError, match=r"ORDERFLOW_API_PORT: .*ORDERFLOW_STEP_TIMEOUT_SECONDS: "):
        load(ApiSettings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "orders.example.com"])
def test_no_open_door_beyond_loopback(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """An API that would listen beyond loopback without keys does not start; with keys it may."""
    monkeypatch.setenv("ORDERFLOW_API_HOST", host)
    with pytest.raises(SettingError, match=r"^ORDERFLOW_API_KEYS: "):
        load(ApiSettings)
    monkeypatch.setenv("ORDERFLOW_API_KEYS", f"shop:{'a' * 64}")
    assert load(ApiSettings).api_keys == {"shop": "a" * 64}


@pytest.mark.parametrize("settings", [WorkerSettings, MonitorSettings])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "payment"])
def test_health_beyond_loopback_needs_a_trusted_network(
    monkeypatch: pytest.MonkeyPatch, settings: type[EndpointSettings], host: str
) -> None:
    """A worker or monitor answers beyond loopback, where it knows nobody, only where the network is said to be safe."""
    monkeypatch.setenv("ORDERFLOW_HEALTH_HOST", host)
    with pytest.raises(SettingError, match=r"^ORDERFLOW_TRUSTED_NETWORK: .*ORDERFLOW_HEALTH_HOST"):
        load(settings)
    monkeypatch.setenv("ORDERFLOW_TRUSTED_NETWORK", "true")
    assert load(settings).health_host == host


def test_a_trusted_network_needs_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all who can reach the API may call it, it starts beyond loopback without keys."""
    monkeypatch.setenv("ORDERFLOW_API_HOST", "0.0.0.0")
    monkeypatch.setenv("ORDERFLOW_TRUSTED_NETWORK", "true")
    assert load(ApiSettings).api_keys == {}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_keys(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """On loopback the API starts without keys."""
    monkeypatch.setenv("ORDERFLOW_API_HOST", host)
    assert load(ApiSettings).api_host == host


@pytest.mark.parametrize(
    "given",
    [
        "",
        SECRET,
        f"mysql://user:{SECRET}@host/orders",
        f"postgresql://user@host:{SECRET}/orders",
    ],
)
def test_a_wrong_database_url_keeps_its_password(given: str) -> None:
    """A database URL that can't be used is refused in one line, without the password that is in it."""
    with pytest.raises(SettingError) as refused:
        database_url(given, "payment", Path("data"), "ORDERFLOW_PAYMENT_DATABASE_URL")
    told = str(refused.value)
    assert told.startswith("ORDERFLOW_PAYMENT_DATABASE_URL: ")
    assert SECRET not in told


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (None, "sqlite:///data/payment.db"),
        ("sqlite+aiosqlite:///other.db", "sqlite:///other.db"),
        ("postgres://user:pw@host/orders", "postgresql+asyncpg://user:pw@host/orders"),
        ("postgresql://user:pw@host:5433/orders", "postgresql+asyncpg://user:pw@host:5433/orders"),
        ("postgresql+psycopg2://user:pw@host/orders", "postgresql+asyncpg://user:pw@host/orders"),
        ("postgresql://user:pw@host/orders?sslmode=require", "postgresql+asyncpg://user:pw@host/orders?ssl=require"),
    ],
)
def test_a_database_url_gets_our_driver(given: str | None, used: str) -> None:
    """A URL as people write it is taken with the driver that the workers have; without one, it is a file."""
    url = database_url(given, "payment", Path("data"), "ORDERFLOW_PAYMENT_DATABASE_URL")
    assert url.render_as_string(hide_password=False) == used
