"""Settings: the order of the layers, where each value comes from, and what a person is told about mistakes."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from graftline.agents.profiles import PROFILE_TYPES, ClaudeCodeProfile, CommandProfile
from graftline.errors import SettingsError
from graftline.settings import Effective, Settings, load_settings, public_dump

SECRET = "sk-very-secret"


def load(folder: Path, toml: str = "", environ: Mapping[str, str] | None = None, **overrides: object) -> Effective:
    """Load from a file with the given text; `cost__max_usd=1` stands for the override "cost.max_usd"."""
    (folder / "graftline.toml").write_text(toml)
    dotted = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_settings(folder, environ=environ or {}, overrides=dotted)


def problems(folder: Path, toml: str = "", environ: Mapping[str, str] | None = None, **overrides: object) -> list[str]:
    """The lines of the error that the given settings cause, without their common folder."""
    with pytest.raises(SettingsError) as caught:
        load(folder, toml, environ, **overrides)
    head, *lines = str(caught.value).replace(f"{folder}/", "").splitlines()
    assert head.startswith(str(len(lines)))
    return [line.removeprefix("  ") for line in lines]


def test_without_any_source_everything_is_the_default(tmp_path: Path) -> None:
    effective = load_settings(tmp_path, environ={"PATH": "/bin"})
    assert effective.settings == Settings()
    assert set(effective.origins.values()) == {"default"}
    assert effective.origins["cost.max_usd"] == "default"
    assert load_settings(None, environ={}) == effective


def test_file_then_variables_then_overrides_rise_in_precedence(tmp_path: Path) -> None:
    toml = "[cost]\nmax_usd = 1\nwarn_usd = 0.5\n[retries]\nmax_per_run = 7\n[heal]\nmax_rounds = 9\n"
    environ = {"GRAFTLINE_COST__MAX_USD": "2", "GRAFTLINE_RETRIES__MAX_PER_RUN": "8"}
    (tmp_path / "graftline.toml").write_text(toml)
    effective = load_settings(
        tmp_path, environ=environ, overrides={"cost.max_usd": 3.5}, override_origins={"cost.max_usd": "--max-cost"}
    )
    found = effective.settings
    assert (found.cost.max_usd, found.cost.warn_usd, found.retries.max_per_run, found.heal.max_rounds) == (
        3.5,
        0.5,
        8,
        9,
    )
    assert {key: origin for key, origin in effective.origins.items() if origin != "default"} == {
        "cost.max_usd": "--max-cost",
        "cost.warn_usd": "graftline.toml",
        "retries.max_per_run": "GRAFTLINE_RETRIES__MAX_PER_RUN",
        "heal.max_rounds": "graftline.toml",
    }


def test_an_override_without_a_name_is_called_override(tmp_path: Path) -> None:
    assert load(tmp_path, git__partial=True).origins["git.partial"] == "override"


def test_lists_and_tables_come_from_variables_as_json(tmp_path: Path) -> None:
    effective = load(
        tmp_path,
        '[agents.one]\ntype = "command"\ncommand = ["old", "list"]\n[limits.groups]\ndb = 1\nweb = 2\n',
        {
            "GRAFTLINE_TEST__COMMAND": '["python3", "-m", "pytest"]',
            "GRAFTLINE_LIMITS__GROUPS": '{"db": 3}',
            "GRAFTLINE_AGENTS__ONE__COMMAND": '["new"]',
            "GRAFTLINE_AGENTS": '{"Two-b": {"type": "claude-code", "model": "opus"}}',
        },
    )
    found = effective.settings
    assert found.test.command == ["python3", "-m", "pytest"]
    assert found.limits.groups == {"db": 3, "web": 2}
    assert found.agents["one"] == CommandProfile(command=["new"])
    assert found.agents["Two-b"] == ClaudeCodeProfile(model="opus")
    assert effective.origins["limits.groups.db"] == "GRAFTLINE_LIMITS__GROUPS"
    assert effective.origins["limits.groups.web"] == "graftline.toml"
    assert effective.origins["agents.one.command"] == "GRAFTLINE_AGENTS__ONE__COMMAND"
    assert effective.origins["agents.one.type"] == "graftline.toml"
    assert effective.origins["agents.Two-b.model"] == "GRAFTLINE_AGENTS"
    assert effective.origins["agents.Two-b.binary"] == "default"


def test_a_specific_variable_wins_over_the_json_of_its_table(tmp_path: Path) -> None:
    environ = {"GRAFTLINE_COST__MAX_USD": "2", "GRAFTLINE_COST": '{"max_usd": 1, "warn_usd": 1}'}
    effective = load(tmp_path, "", environ)
    assert (effective.settings.cost.max_usd, effective.settings.cost.warn_usd) == (2, 1)
    assert effective.origins["cost.max_usd"] == "GRAFTLINE_COST__MAX_USD"
    assert effective.origins["cost.warn_usd"] == "GRAFTLINE_COST"


def test_the_state_directory_and_facts_for_agents_are_not_settings(tmp_path: Path) -> None:
    environ = {
        "GRAFTLINE_STATE_DIR": "/somewhere",
        "GRAFTLINE_TASK_ID": "a",
        "GRAFTLINE_TASK_PROMPT_FILE": "/p",
        "graftline_other": "not ours",
        "GRAFT": "not ours",
    }
    assert load(tmp_path, "", environ).settings == Settings()


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("[cost]\nmax_uds = 1\n", "graftline.toml:2: unknown key 'cost.max_uds'; did you mean 'max_usd'?"),
        ("\n[costs]\nmax_usd = 1\n", "graftline.toml:2: unknown key 'costs'; did you mean 'cost'?"),
        ("timeout = 3\n", "graftline.toml:1: unknown key 'timeout'; did you mean 'timeouts'?"),
        (
            "[cost]\nmax_concurrent = 1\n",
            "graftline.toml:2: unknown key 'cost.max_concurrent'; did you mean 'agent.max_concurrent'?",
        ),
        (
            "[cost]\nzzz = 1\n",
            "graftline.toml:2: unknown key 'cost.zzz'; known here: day_usd, deployment_usd, "
            "max_usd, task_usd, unknown_call_usd, warn_usd",
        ),
        (
            '[prices."gpt-*-mini"]\ninput = 1\noutput = 8\n',
            "graftline.toml:1: 'prices.gpt-*-mini' must be the name of a model, or its beginning and a * at the end",
        ),
        (
            '[prices."gpt-5*"]\ninput = 1\noutptu = 8\noutput = 8\n',
            "graftline.toml:3: unknown key 'prices.gpt-5*.outptu'; did you mean 'output'?",
        ),
        (
            '[agents.fast]\ntype = "claude-code"\n\nmodle = "x"\n',
            "graftline.toml:4: unknown key 'agents.fast.modle'; did you mean 'model'?",
        ),
        (
            'agents.fast = { type = "claude-code", modle = "x" }\n',
            "graftline.toml:1: unknown key 'agents.fast.modle'; did you mean 'model'?",
        ),
    ],
)
def test_an_unknown_key_names_its_line_and_the_nearest_key(tmp_path: Path, toml: str, line: str) -> None:
    assert problems(tmp_path, toml) == [line]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("GRAFTLINE_COTS__MAX_USD", "1", "unknown variable; did you mean GRAFTLINE_COST__MAX_USD?"),
        ("GRAFTLINE_COST__MAXUSD", "1", "unknown variable; did you mean GRAFTLINE_COST__MAX_USD?"),
        ("GRAFTLINE_COST_MAX_USD", "1", "unknown variable; did you mean GRAFTLINE_COST__MAX_USD?"),
        ("GRAFTLINE_QQQQ", "1", "no setting has this name"),
        (
            "GRAFTLINE_TEST__COMMAND",
            "pytest -q",
            'must be JSON, such as ["uv", "sync"] for a list or {"a": 1} for a table',
        ),
        ("GRAFTLINE_COST", "5", "'cost' must be a table"),
        ("GRAFTLINE_GIT__LAND", "atuo", "'git.land' should be 'auto' or 'branch'"),
        (
            "GRAFTLINE_COST__MAX_USD",
            "five",
            "'cost.max_usd' should be a valid number, unable to parse string as a number",
        ),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str, line: str) -> None:
    assert problems(tmp_path, "", {name: value}) == [f"{name}: {line}"]


def test_a_wrong_flag_is_named_as_the_person_wrote_it() -> None:
    with pytest.raises(SettingsError, match=r"--max-cost: 'cost\.max_usd' should be greater than or equal to 0"):
        load_settings(None, environ={}, overrides={"cost.max_usd": -1}, override_origins={"cost.max_usd": "--max-cost"})


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    toml = (
        '[agent]\nbackend = "claud-code"\nmax_concurrent = 0\n'
        '[agents.command]\ntype = "command"\n'
        '[agents.other]\ntype = "codexx"\n'
        '[agents.third]\ncommand = ["x"]\n'
        "[heal]\nmax_round = 1\n"
    )
    environ = {"GRAFTLINE_NOPE": "1", "GRAFTLINE_TEST__COMMAND": "x"}
    types = ", ".join(PROFILE_TYPES)
    assert problems(tmp_path, toml, environ, cost__max_usd="much") == [
        'GRAFTLINE_TEST__COMMAND: must be JSON, such as ["uv", "sync"] for a list or {"a": 1} for a table',
        "graftline.toml:3: 'agent.max_concurrent' should be greater than or equal to 1",
        "graftline.toml:4: 'agents.command.command' is missing",
        f"graftline.toml:6: 'agents.other' has an unknown type; it is one of {types}",
        f"graftline.toml:8: 'agents.third' needs a type: one of {types}",
        "graftline.toml:11: unknown key 'heal.max_round'; did you mean 'max_rounds'?",
        "override: 'cost.max_usd' should be a valid number, unable to parse string as a number",
        "GRAFTLINE_NOPE: no setting has this name",
        "graftline.toml:4: 'agents.command' has the name of a backend type; a profile needs a name of its own",
        "graftline.toml:2: 'agent.backend' names 'claud-code', which is neither a profile nor a backend type; "
        f"did you mean 'claude-code'? Profiles: command, other, third. Types: {types}.",
    ]


TIERED = """\
[models]
labels = {docs = "fast", api = "standard"}
escalation = ["fast", "deep"]
[agents.small]
type = "claude-code"
tier = "fast"
[agents.other]
type = "command"
command = ["true"]
tier = "%s"
"""


def test_a_tier_stands_for_one_profile_and_is_asked_for_only_where_one_has_it(tmp_path: Path) -> None:
    assert problems(tmp_path, TIERED % "fast") == [
        "graftline.toml:10: 'agents.other.tier' is that of [agents.small] as well; a tier stands for one profile",
        "graftline.toml:2: 'models.labels.api' asks for a tier that no profile has: "
        'add tier = "standard" to the one it means, [agents.NAME]',
        "graftline.toml:3: 'models.escalation' asks for a tier that no profile has: "
        'add tier = "deep" to the one it means, [agents.NAME]',
    ]
    assert len(problems(tmp_path, TIERED % "deep")) == 1
    assert load(tmp_path, TIERED % "standard", models__escalation=["fast", "standard"]).settings.models.labels == {
        "docs": "fast",
        "api": "standard",
    }


@pytest.mark.parametrize(
    ("escalation", "problem"),
    [
        ('["deep", "fast"]', "'models.escalation' must rise: fast, standard, deep"),
        ('["fast", "fast"]', "'models.escalation' must rise: fast, standard, deep"),
        ('["cheap"]', "'models.escalation.0' should be 'fast', 'standard' or 'deep'"),
        ('"fast"', "'models.escalation' should be a valid list"),
    ],
)
def test_an_escalation_is_a_list_of_tiers_that_rise(tmp_path: Path, escalation: str, problem: str) -> None:
    both = '[agents.a]\ntype = "claude-code"\ntier = "fast"\n[agents.b]\ntype = "claude-code"\ntier = "deep"\n'
    toml = f"{both}[models]\nescalation = {escalation}\n"
    assert problems(tmp_path, toml) == [f"graftline.toml:8: {problem}"]


def test_a_profile_and_the_short_form_exclude_each_other(tmp_path: Path) -> None:
    toml = '[agents.mine]\ntype = "claude-code"\n[agent]\nmodel = "opus"\nbackend = "mine"\n'
    assert problems(tmp_path, toml, {"GRAFTLINE_AGENT__BINARY": "/bin/claude"}) == [
        "GRAFTLINE_AGENT__BINARY: 'agent.binary' applies to backend types only; "
        "'mine' is a profile, so set it in [agents.mine]",
        "graftline.toml:4: 'agent.model' applies to backend types only; "
        "'mine' is a profile, so set it in [agents.mine]",
    ]
    assert load(tmp_path, '[agent]\nmodel = "opus"\n').settings.agent.model == "opus"


def test_a_type_that_cannot_run_bare_asks_for_a_profile(tmp_path: Path) -> None:
    assert problems(tmp_path, "", agent__backend="command") == [
        "override: 'agent.backend' is a type that needs a profile: "
        'write [agents.NAME] with type = "command" and name it here'
    ]


def test_a_backend_may_be_a_profile_of_another_layer(tmp_path: Path) -> None:
    toml = '[agents.scripted]\ntype = "command"\ncommand = ["python3", "agent.py"]\n'
    assert load(tmp_path, toml, {"GRAFTLINE_AGENT__BACKEND": "scripted"}).settings.agent.backend == "scripted"


def test_a_warning_above_the_cap_is_allowed(tmp_path: Path) -> None:
    assert load(tmp_path, "[cost]\nmax_usd = 1\nwarn_usd = 2\n").settings.cost.warn_usd == 2


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_limits_are_finite(tmp_path: Path, value: str) -> None:
    assert problems(tmp_path, f"[cost]\nmax_usd = {value}\n") == [
        "graftline.toml:2: 'cost.max_usd' should be a finite number"
    ]


@pytest.mark.parametrize(
    ("toml", "place"),
    [("[cost]\nmax_usd = \n", "graftline.toml:2: "), ("[cost]\nmax_usd = [1,\n", "graftline.toml:3: ")],
)
def test_broken_toml_names_file_and_line_and_hides_no_other_problem(tmp_path: Path, toml: str, place: str) -> None:
    first, second = problems(tmp_path, toml, {"GRAFTLINE_NOPE": "1", "GRAFTLINE_AGENT__BACKEND": "profile-of-the-file"})
    assert first.startswith(place)
    assert second.startswith("GRAFTLINE_NOPE: ")


def test_an_unreadable_file_is_an_error_not_a_default(tmp_path: Path) -> None:
    (tmp_path / "graftline.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"graftline\.toml: is not UTF-8"):
        load_settings(tmp_path, environ={})
    (tmp_path / "graftline.toml").unlink()
    (tmp_path / "graftline.toml").mkdir()
    with pytest.raises(SettingsError, match=r"graftline\.toml: cannot be read \(Is a directory\)"):
        load_settings(tmp_path, environ={})


def test_the_line_of_a_quoted_key_is_found_below_a_multi_line_string(tmp_path: Path) -> None:
    toml = '[worktree]\nsetup = ["""\nmax_rounds = 1\n[heal]\n"""]\n["heal"]\n"max_rounds"=-1\n'
    assert problems(tmp_path, toml) == ["graftline.toml:7: 'heal.max_rounds' should be greater than or equal to 0"]


@pytest.mark.parametrize(
    ("toml", "environ"),
    [
        (f'[agents.a]\ntype = "claude-code"\napi_key = ["{SECRET}"]\n', {}),
        (f'[agents.a]\ntype = "claude-code"\napi_key = "{SECRET}"\nmax_turns = 0\n', {}),
        ("", {"GRAFTLINE_AGENTS": f'{{"a": {{"type": "claude-code", "api_key": "{SECRET}"'}),
        ("", {"GRAFTLINE_AGENTS": f'{{"a": {{"api_key": "{SECRET}"}}}}'}),
        ("", {"GRAFTLINE_API_KEY": SECRET}),
    ],
)
def test_a_secret_never_appears_in_an_error(tmp_path: Path, toml: str, environ: dict[str, str]) -> None:
    (tmp_path / "graftline.toml").write_text(toml)
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, environ=environ)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None, "a chained error would carry the input"


def test_a_secret_is_loaded_and_never_shown(tmp_path: Path) -> None:
    toml = f'[agents.a]\ntype = "claude-code"\napi_key = "{SECRET}"\nmodel = "opus"\n'
    effective = load(tmp_path, toml)
    profile = effective.settings.agents["a"]
    assert isinstance(profile, ClaudeCodeProfile)
    assert profile.api_key == SecretStr(SECRET)
    assert SECRET not in repr(effective)
    assert effective.origins["agents.a.api_key"] == "graftline.toml"
    dump = public_dump(effective.settings)
    assert SECRET not in json.dumps(dump)
    pinned = Settings.model_validate(dump)
    assert pinned.agents["a"] == ClaudeCodeProfile(model="opus")


NUMBERS = st.floats(min_value=0.001, max_value=1e9, allow_nan=False)
TEXT = st.text(max_size=20)
PROFILES = st.one_of(
    st.builds(CommandProfile, command=st.lists(TEXT, min_size=1), env=st.dictionaries(TEXT, TEXT), cost_usd=NUMBERS),
    st.builds(ClaudeCodeProfile, model=TEXT, pass_env=st.lists(TEXT)),
)


@given(
    cost=NUMBERS,
    setup=st.lists(TEXT),
    groups=st.dictionaries(TEXT, st.integers(min_value=1)),
    agents=st.dictionaries(TEXT, PROFILES, max_size=3),
)
def test_pinned_settings_read_back_the_same(
    cost: float, setup: list[str], groups: dict[str, int], agents: dict[str, CommandProfile | ClaudeCodeProfile]
) -> None:
    settings = Settings.model_validate(
        {"cost": {"max_usd": cost}, "worktree": {"setup": setup}, "limits": {"groups": groups}, "agents": agents}
    )
    assert Settings.model_validate(json.loads(json.dumps(public_dump(settings)))) == settings


@given(text=st.text(alphabet="[]{}=\"'.,\n #abcost_5-", max_size=60))
def test_no_text_of_a_file_ends_in_anything_but_settings_or_a_settings_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-text"
    folder.mkdir(exist_ok=True)
    (folder / "graftline.toml").write_text(text)
    refusal = ""
    settings = Settings()
    try:
        settings = load_settings(folder, environ={}).settings
    except SettingsError as error:
        refusal = str(error)
    assert not refusal or str(folder / "graftline.toml") in refusal
    assert Settings.model_validate(public_dump(settings)) == settings
