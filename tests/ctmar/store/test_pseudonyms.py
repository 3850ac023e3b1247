"""Pseudonyms tell nothing without the salt, and the salt is a file that must hold one."""

import multiprocessing
import stat

import pytest

from ctmar.errors import InputError
from ctmar.store import pseudonyms
from ctmar.store.pseudonyms import Pseudonyms, own_salt_file, pseudonym, read_salt


def test_pseudonyms_depend_on_identity_kind_and_salt():
    names = {pseudonym(kind, identity, salt) for kind in "pf" for identity in "ab" for salt in (b"s", b"t")}
    assert len(names) == 8
    # frozen: a patient must keep the name over versions, or studies could not be compared
    assert pseudonym("p", "id one", b"equiproj") == "p-e6efb20d2ec8a5e0"


def test_the_salt_is_what_the_file_holds(tmp_path):
    (tmp_path / "salt").write_bytes(b"\x00\xff random \r\n")
    assert read_salt(tmp_path / "salt") == b"\x00\xff random"


@pytest.mark.parametrize(("content", "expected"), [(None, "file not found"), (b" \n", "found an empty file")])
def test_a_salt_that_is_missing_ends_in_one_line(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "salt").write_bytes(content)
    with pytest.raises(InputError, match=rf"ingest\.salt_file: .*salt: .*{expected}") as error:
        read_salt(tmp_path / "salt")
    assert "\n" not in str(error.value)


def test_a_name_that_is_no_text_has_a_pseudonym_of_its_own():
    """Bytes of Latin-1 in a file's name, half a surrogate pair in a damaged header."""
    found = {pseudonym("f", name, b"s") for name in ("M\udcfcller.txt", "M\udce4ller.txt", "Müller.txt", "\ud800")}
    assert len(found) == 4


def test_pseudonyms_have_64_bits():
    assert {len(pseudonym(kind, "one", b"s")) for kind in "psf"} == {2 + 64 // 4}


def test_two_patients_of_one_pseudonym_are_an_error(monkeypatch):
    monkeypatch.setitem(pseudonyms.DIGITS, "p", 1)
    names = Pseudonyms(b"s")
    with pytest.raises(InputError, match=r"two identities share the pseudonym 'p-.'; write another salt into ingest"):
        _ = [names.give("p", f"id {number}") for number in range(17)]
    assert names.give("p", "id 0") == names.give("p", "id 0")


def test_the_first_use_makes_a_secret_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "one"))
    salt, told = read_salt(None), capsys.readouterr().err
    assert len(salt) == 64
    assert "made a secret salt" in told
    assert salt.decode() not in told
    assert stat.S_IMODE(own_salt_file().stat().st_mode) == 0o600
    assert [path.name for path in own_salt_file().parent.iterdir()] == ["salt"]
    assert read_salt(None) == salt
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "two"))
    assert read_salt(None) != salt


def test_without_a_setting_it_lies_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert own_salt_file() == tmp_path / ".config" / "equiproj" / "salt"


def _salt(queue) -> None:
    queue.put(read_salt(None))


def test_processes_that_start_together_share_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_salt, args=(queue,)) for _ in range(8)]
    for worker in workers:
        worker.start()
    assert len({queue.get(timeout=300) for _ in workers}) == 1
    for worker in workers:
        worker.join(timeout=300)


def test_a_place_where_no_salt_can_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"ingest\.salt_file: a secret salt cannot be written to [^\n]+$"):
        read_salt(None)
