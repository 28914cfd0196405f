"""What tests see of the person's environment: what they need to run, and nothing else."""

from pathlib import Path

from graftline.verify.environment import build_environment, source_path, virtual_environment


def test_environment_is_built_up_and_not_inherited(tmp_path: Path) -> None:
    home = tmp_path / "person"
    (home / ".rustup").mkdir(parents=True)
    (tmp_path / "cargo").mkdir()
    environ = {
        "HOME": str(home),
        "PATH": "/usr/bin",
        "LC_ALL": "de_DE.UTF-8",
        "USER": "ada",
        "HTTPS_PROXY": "http://proxy",
        "CARGO_HOME": str(tmp_path / "cargo"),
        "PYTHONPATH": "/elsewhere",
        "PYTEST_ADDOPTS": "-x",
        "GIT_DIR": "/elsewhere",
        "GRAFTLINE_COST__MAX_USD": "1",
        "ANTHROPIC_API_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "DATABASE_URL": "postgres://localhost/test",
    }
    env = build_environment(
        environ, python=None, pass_env=["DATABASE_URL"], home=tmp_path / "home", temporary=tmp_path / "tmp"
    )

    assert env == {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PATH": "/usr/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "de_DE.UTF-8",
        "USER": "ada",
        "HTTPS_PROXY": "http://proxy",
        "CARGO_HOME": str(tmp_path / "cargo"),
        "RUSTUP_HOME": str(home / ".rustup"),
        "DATABASE_URL": "postgres://localhost/test",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }


def test_virtual_environment_leads_the_path_as_if_it_were_active(tmp_path: Path) -> None:
    environment = tmp_path / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").touch()
    python = environment / "bin" / "python"
    python.symlink_to("/usr/bin/env")  # a link out of it, as an interpreter is

    env = build_environment({"PATH": "/usr/bin"}, python=str(python), pass_env=(), home=tmp_path, temporary=tmp_path)
    assert (env["VIRTUAL_ENV"], env["PATH"]) == (str(environment), f"{environment}/bin:/usr/bin")
    assert virtual_environment("/usr/bin/python3") is None


def test_sources_come_before_the_root(tmp_path: Path) -> None:
    assert source_path(tmp_path) == [str(tmp_path)]
    (tmp_path / "src").mkdir()
    assert source_path(tmp_path) == [str(tmp_path / "src"), str(tmp_path)]
