"""Where the master key comes from, and which ones are refused."""

import base64
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.assembly import master_key
from app.errors import ConfigurationError
from app.keys import master, strength
from app.keys.master import KeySource, load_master_key
from app.keys.strength import weakness
from app.settings import Settings

OTHER = os.urandom(32)
STRONG = hashlib.sha256(b"a test's key, which nobody guesses").digest()


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _load(current=None, previous=None, production=True, beside=Path("/nowhere/master.key")):
    return load_master_key(current or KeySource(), previous or KeySource(), production=production, beside_data=beside)


@pytest.fixture
def open_folder():
    """A folder that everybody on the machine can get to, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _file(folder, mode, key=STRONG):
    file = folder / "master.key"
    file.write_text(_text(key))
    file.chmod(mode)
    return KeySource(file=file)


def _command(code):
    return KeySource(command=f'{sys.executable} -c "{code}"')


def test_the_three_sources_give_the_same_key(tmp_path):
    for source in (KeySource(text=_text(STRONG)), _file(tmp_path, 0o400), _command(f"print('{_text(STRONG)}')")):
        assert _load(source).key == STRONG


def test_the_previous_key_is_held_too():
    both = _load(KeySource(text=_text(STRONG)), KeySource(text=_text(OTHER)))
    assert (both.key, both.previous.key) == (STRONG, OTHER)
    assert _load(KeySource(text=_text(STRONG)), KeySource(text=_text(STRONG))).previous is None


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ((KeySource(text="x", file=Path("y")), None), "JOBX_MASTER_KEY and JOBX_MASTER_KEY_FILE"),
        ((KeySource(file=Path("y"), command="z"), None), "JOBX_MASTER_KEY_FILE and JOBX_MASTER_KEY_COMMAND"),
        (
            (KeySource(text=_text(STRONG)), KeySource(text="x", file=Path("y"))),
            "JOBX_MASTER_KEY_PREVIOUS and JOBX_MASTER_KEY_PREVIOUS_FILE",
        ),
    ],
)
def test_two_sources_at_once_are_refused(sources, words):
    with pytest.raises(ConfigurationError, match=words):
        _load(*sources)


@pytest.mark.parametrize("production", [True, False])
def test_the_settings_say_whether_it_is_production(tmp_path, production):
    # An address of its own makes a first bot of the embedded default, no server.
    url = {"database_url": "postgresql://x"} if production else {"public_url": "https://jobx.example"}
    settings = Settings(data_dir=tmp_path, **url)
    assert settings.production is production
    if production:
        with pytest.raises(ConfigurationError, match="missing"):
            master_key(settings)
        assert list(tmp_path.iterdir()) == []
    else:
        assert master_key(settings).key == master_key(settings).key


def test_a_key_beside_the_data_is_made_once_for_its_owner_and_warned_about(tmp_path, caplog):
    file = tmp_path / "master.key"
    first = _load(production=False, beside=file)
    assert len(caplog.records) == 1
    assert "beside the data" in caplog.text
    assert _load(production=False, beside=file).key == first.key
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


WEAK = [
    b"correct horse battery staple 123",
    bytes(range(32)),
    bytes(range(0, 256, 8)),
    b"\x01\x9f" * 16,
    bytes(16) + hashlib.sha256(b"half a key").digest()[:16],
    hashlib.sha256(b"password").digest(),
    hashlib.sha256(b"").digest(),
]


@pytest.mark.parametrize("key", WEAK, ids=range(len(WEAK)))
def test_a_weak_key_is_refused_in_production_and_warned_about_else(key, tmp_path, caplog):
    for source in (KeySource(text=_text(key)), _file(tmp_path, 0o600, key), _command(f"print('{_text(key)}')")):
        with pytest.raises(ConfigurationError, match="JOBX_MASTER_KEY") as caught:
            _load(source)
        assert _text(key) not in str(caught.value)
    with pytest.raises(ConfigurationError, match="JOBX_MASTER_KEY_PREVIOUS"):
        _load(KeySource(text=_text(STRONG)), KeySource(text=_text(key)))


def test_outside_production_a_weak_key_is_only_warned_about(caplog):
    key = bytes(range(200, 232))
    assert _load(KeySource(text=_text(key)), production=False).key == key
    assert "JOBX_MASTER_KEY repeats itself or counts" in caplog.text
    assert _text(key) not in caplog.text


@given(st.integers(0, 2**64))
def test_random_keys_are_not_called_weak(seed):
    assert weakness(hashlib.sha256(b"seed %d" % seed).digest()) is None


@pytest.mark.parametrize(("mode", "who"), [(0o644, "everybody"), (0o604, "everybody"), (0o640, "a group")])
def test_a_file_that_others_can_read_is_refused(open_folder, mode, who, monkeypatch, caplog):
    source = _file(open_folder, mode)
    with pytest.raises(ConfigurationError, match=f"JOBX_MASTER_KEY_FILE names a file that {who}"):
        _load(source)
    assert _load(source, production=False).key == STRONG
    assert "JOBX_MASTER_KEY_FILE names a file" in caplog.text
    # A closed folder on the way keeps others out, and an orchestrator's mount has one user.
    open_folder.chmod(0o700)
    assert _load(source).key == STRONG
    open_folder.chmod(0o755)
    monkeypatch.setattr(strength, "ORCHESTRATED", open_folder.resolve())
    assert _load(source).key == STRONG


def test_an_owners_own_file_is_taken(open_folder):
    assert _load(_file(open_folder, 0o400)).key == STRONG


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (KeySource(file=Path("/nowhere/key")), "cannot be read: No such file"),
        (KeySource(command="/nowhere/program canary"), "JOBX_MASTER_KEY_COMMAND cannot be run: No such file"),
        (KeySource(command=""), "JOBX_MASTER_KEY_COMMAND cannot be run"),
        (KeySource(command="'canary"), "cannot be run: it is not a command line"),
        (_command("import sys; print('canary'); sys.exit('canary')"), "ended with status 1"),
        (_command("print('canary')"), "What JOBX_MASTER_KEY_COMMAND prints must be 32"),
        (_command("print('canary' * 1000000)"), "JOBX_MASTER_KEY_COMMAND"),
        (KeySource(text="canary"), "JOBX_MASTER_KEY must be 32"),
    ],
)
def test_what_is_wrong_with_a_source_is_said_and_nothing_of_it(source, words, caplog, capfd):
    with pytest.raises(ConfigurationError, match=words) as caught:
        _load(source)
    assert "canary" not in str(caught.value) + caplog.text + "".join(capfd.readouterr())


def test_a_command_that_does_not_end_is_ended_with_all_it_started(monkeypatch, tmp_path):
    monkeypatch.setattr(master, "_COMMAND_SECONDS", 0.3)
    # The shell's child holds the pipe open: it has to end, too.
    with pytest.raises(ConfigurationError, match=r"did not end within 0.3 s"):
        _load(KeySource(command="sh -c 'sleep 600; echo late'"))


def test_a_command_runs_without_a_shell(tmp_path):
    with pytest.raises(ConfigurationError, match="prints must be"):
        _load(KeySource(command=f"echo $(touch {tmp_path}/made) ; touch {tmp_path}/made"))
    assert not (tmp_path / "made").exists()
