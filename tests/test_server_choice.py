"""Which server is used, and what its clients must see in their environment."""

from pathlib import Path

import pytest

from graftline.errors import SettingsError
from graftline.server import Server, client_environment, configured_api_url, configured_server


def test_a_local_servers_clients_are_cut_off_from_the_users_prefect_and_from_proxies(tmp_path: Path) -> None:
    server = Server("http://127.0.0.1:1/api", "http://127.0.0.1:1", local=True, home=tmp_path)
    assert client_environment(server, {"NO_PROXY": "a.example", "PREFECT_LOGGING_EXTRA_LOGGERS": "mine,graftline"}) == {
        "PREFECT_API_URL": "http://127.0.0.1:1/api",
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_PROFILES_PATH": str(tmp_path / "profiles.toml"),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "mine,graftline",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "a.example,127.0.0.1",
        "no_proxy": "a.example,127.0.0.1",
    }


def test_a_configured_servers_clients_keep_the_users_prefect() -> None:
    server = Server("https://prefect.example/api", "https://prefect.example", local=False)
    variables = client_environment(server, {})
    assert variables["PREFECT_API_URL"] == "https://prefect.example/api"
    assert not {"PREFECT_HOME", "PREFECT_PROFILES_PATH", "NO_PROXY"} & set(variables)


PROFILES = """
active = "work"
[profiles.work]
PREFECT_API_URL = "http://work.example/api"
[profiles.bare]
PREFECT_LOGGING_LEVEL = "DEBUG"
"""


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "http://work.example/api"),
        ({"PREFECT_API_URL": "http://other.example/api"}, "http://other.example/api"),
        ({"PREFECT_API_URL": " "}, "http://work.example/api"),
        ({"PREFECT_PROFILE": "work"}, "http://work.example/api"),
        ({"PREFECT_PROFILE": "bare"}, None),
        ({"PREFECT_PROFILE": "ephemeral"}, None),
    ],
)
@pytest.mark.parametrize("place", ["HOME", "PREFECT_HOME", "PREFECT_PROFILES_PATH"])
def test_the_configured_address_comes_from_the_environment_or_the_active_profile(
    tmp_path: Path, place: str, environ: dict[str, str], expected: str | None
) -> None:
    path = tmp_path / {"HOME": ".prefect/profiles.toml"}.get(place, "profiles.toml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(PROFILES)
    environ = environ | {place: str(path if place == "PREFECT_PROFILES_PATH" else tmp_path)}
    assert configured_api_url(environ) == expected
    assert configured_server(environ) == (
        Server(expected, expected.removesuffix("/api"), local=False) if expected else None
    )


@pytest.mark.parametrize("profiles", [None, "", 'active = "gone"\n', "[profiles]\n", 'active = "local"\n'])
def test_without_a_profile_that_names_one_there_is_no_configured_server(tmp_path: Path, profiles: str | None) -> None:
    if profiles is not None:
        (tmp_path / "profiles.toml").write_text(profiles)
    assert configured_server({"PREFECT_HOME": str(tmp_path)}) is None


def test_a_misspelt_profile_is_an_error_and_not_another_server(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(PROFILES)
    with pytest.raises(SettingsError, match=r"no profile 'wrok'; it has work, bare"):
        configured_api_url({"PREFECT_HOME": str(tmp_path), "PREFECT_PROFILE": "wrok"})
    (tmp_path / "profiles.toml").write_text("[broken")
    with pytest.raises(SettingsError, match=r"profiles\.toml: cannot be read"):
        configured_api_url({"PREFECT_HOME": str(tmp_path)})


def test_the_user_interface_may_have_an_address_of_its_own() -> None:
    environ = {"PREFECT_API_URL": "http://a.example/prefect/api/", "PREFECT_UI_URL": "http://ui.example"}
    assert configured_server(environ) == Server("http://a.example/prefect/api/", "http://ui.example", local=False)
